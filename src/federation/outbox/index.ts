export { openOutbox } from '#src/federation/outbox/service.ts';
export type { Outbox } from '#src/federation/outbox/service.ts';
