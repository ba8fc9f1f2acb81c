export { serverInfoRoutes } from '#src/server-info/routes.ts';
export type { ServerInfoDependencies } from '#src/server-info/routes.ts';
export { clientWellKnown } from '#src/server-info/well-known.ts';
