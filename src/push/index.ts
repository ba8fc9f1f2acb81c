export { pushRoutes } from '#src/push/routes.ts';
export { createPushRules } from '#src/push/rules.ts';
export type { PushRules } from '#src/push/rules.ts';
