export { keyRoutes } from '#src/devices/key-routes.ts';
export { createDeviceKeys } from '#src/devices/keys.ts';
export { devicePort } from '#src/devices/port.ts';
export { createRemainingKeys } from '#src/devices/remaining-keys.ts';
export { deviceIdsIn, deviceRoutes } from '#src/devices/routes.ts';
export { createDevices } from '#src/devices/service.ts';
export type { Device, Devices } from '#src/devices/service.ts';
export { readChangedLists } from '#src/devices/store.ts';
