export { createRemoteQueries } from '#src/federation/queries.ts';
export type { RemoteQueries } from '#src/federation/queries.ts';
export { queryRoutes } from '#src/federation/query-routes.ts';
export { openPeers } from '#src/federation/service.ts';
export type { Peers } from '#src/federation/service.ts';
export { createPeerMembership } from '#src/federation/membership/index.ts';
export { openOutbox } from '#src/federation/outbox/index.ts';
export type { Outbox } from '#src/federation/outbox/index.ts';
export { createRoomPeers } from '#src/federation/rooms/index.ts';
