export { createStaleMarks, createTracking } from '#src/device-lists/tracking.ts';
export type { Tracking } from '#src/device-lists/tracking.ts';
export type { ListUpdate } from '#src/device-lists/remote-lists.ts';
export { deviceListRoutes } from '#src/device-lists/routes.ts';
export { createDeviceLists } from '#src/device-lists/service.ts';
export type { DeviceLists } from '#src/device-lists/service.ts';
