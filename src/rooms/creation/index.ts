export { creationRoutes } from '#src/rooms/creation/routes.ts';
export { createCreation } from '#src/rooms/creation/service.ts';
export { upgradeRoutes } from '#src/rooms/creation/upgrade/routes.ts';
export { createUpgrades } from '#src/rooms/creation/upgrade/service.ts';
export { createSuccession } from '#src/rooms/creation/upgrade/succession.ts';
