export { dehydratedDeviceRoutes } from '#src/dehydrated-devices/routes.ts';
export { createDehydratedDevices } from '#src/dehydrated-devices/service.ts';
export { deleteDehydrated } from '#src/dehydrated-devices/store.ts';
