export { creationRoutes } from '#src/rooms/creation/routes.ts';
export { createCreation } from '#src/rooms/creation/service.ts';
