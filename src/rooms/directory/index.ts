export { directoryRoutes } from '#src/rooms/directory/routes.ts';
export { createDirectory } from '#src/rooms/directory/service.ts';
export type { Directory } from '#src/rooms/directory/service.ts';
