export { devicePort } from '#src/devices/port.ts';
export { deviceIdsIn, deviceRoutes } from '#src/devices/routes.ts';
export { createDevices } from '#src/devices/service.ts';
export type { Device, Devices } from '#src/devices/service.ts';
