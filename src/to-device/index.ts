export type { IncomingMessages } from '#src/to-device/incoming.ts';
export { toDeviceRoutes } from '#src/to-device/routes.ts';
export { createToDevice } from '#src/to-device/service.ts';
export type { ToDevice } from '#src/to-device/service.ts';
