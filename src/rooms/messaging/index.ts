export { checkAliases, newAliases } from '#src/rooms/messaging/canonical-alias.ts';
export { checkContent } from '#src/rooms/messaging/content.ts';
export { messagingRoutes } from '#src/rooms/messaging/routes.ts';
export { createMessaging } from '#src/rooms/messaging/service.ts';
