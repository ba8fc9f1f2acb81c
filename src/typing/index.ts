export { typingRoutes } from '#src/typing/routes.ts';
export { createTyping } from '#src/typing/service.ts';
export type { Typing } from '#src/typing/service.ts';
