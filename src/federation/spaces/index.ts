export { createRemoteSpaces } from '#src/federation/spaces/asking.ts';
export { peerSpaceRoutes } from '#src/federation/spaces/routes.ts';
