import type { Clock } from '#src/platform/clock.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { Receipts } from '#src/receipts/index.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';
import type { Typing } from '#src/typing/index.ts';
import type { Hosts } from '#src/federation/rooms/hosts.ts';
import type { EduSource } from '#src/federation/outbox/edus.ts';
import { createReceiptEdus } from '#src/federation/outbox/receipts.ts';
import { createToServersOf } from '#src/federation/outbox/room-servers.ts';
import { createTypingEdus } from '#src/federation/outbox/typing.ts';
import type { VolatileTools } from '#src/federation/outbox/volatile.ts';

export interface EduSourceTools extends VolatileTools {
  readonly graph: Pick<RoomGraph, 'rooms' | 'currentRoot'>;
  readonly hosts: Pick<Hosts, 'at'>;
  readonly typing: Pick<Typing, 'onOwn'>;
  readonly receipts: Pick<Receipts, 'onOwn'>;
  /** `federation_rr_transactions_per_room_per_second` */
  readonly receiptsPerSecond: number;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Logger;
}

/** What servers are told beside events. */
export const createEduSources = (tools: EduSourceTools): EduSource[] => {
  const toServersOf = createToServersOf(tools);
  return [createTypingEdus({ ...tools, toServersOf }), createReceiptEdus({ ...tools, toServersOf, perSecond: tools.receiptsPerSecond })];
};
