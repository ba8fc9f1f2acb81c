export type { Destinations, DestinationStatus } from '#src/federation/outbox/destinations.ts';
export { openEduSources } from '#src/federation/outbox/sources.ts';
export { openOutbox } from '#src/federation/outbox/service.ts';
export type { Outbox } from '#src/federation/outbox/service.ts';
