import type { Clock } from '#src/platform/clock.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { Presence } from '#src/presence/index.ts';
import type { Receipts } from '#src/receipts/index.ts';
import type { ToDevice } from '#src/to-device/index.ts';
import type { Typing } from '#src/typing/index.ts';
import { type DeviceListTools, openDeviceListEdus } from '#src/federation/outbox/device-lists.ts';
import type { EduSource } from '#src/federation/outbox/edus.ts';
import { createPresenceEdus } from '#src/federation/outbox/presence.ts';
import { createReceiptEdus } from '#src/federation/outbox/receipts.ts';
import { createServersOf, createToServersOf } from '#src/federation/outbox/room-servers.ts';
import { openToDeviceEdus } from '#src/federation/outbox/to-device.ts';
import { createTypingEdus } from '#src/federation/outbox/typing.ts';
import type { VolatileTools } from '#src/federation/outbox/volatile.ts';

export interface EduSourceTools extends VolatileTools, DeviceListTools {
  readonly toDevice: Pick<ToDevice, 'outbox'>;
  readonly typing: Pick<Typing, 'onOwn'>;
  readonly receipts: Pick<Receipts, 'onOwn'>;
  readonly presence: Pick<Presence, 'onOwn'>;
  /** `federation_rr_transactions_per_room_per_second` */
  readonly receiptsPerSecond: number;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Logger;
}

/** What servers are told beside events. */
export const openEduSources = async (tools: EduSourceTools): Promise<EduSource[]> => {
  const serversOf = createServersOf(tools);
  const toServersOf = createToServersOf({ ...tools, serversOf });
  return [
    await openToDeviceEdus(tools),
    await openDeviceListEdus(tools),
    createTypingEdus({ ...tools, toServersOf }),
    createReceiptEdus({ ...tools, toServersOf, perSecond: tools.receiptsPerSecond }),
    createPresenceEdus({ ...tools, serversOf }),
  ];
};
