import { setTimeout as after } from 'node:timers/promises';
import type { JsonObject } from '#src/protocol/json.ts';
import type { OwnReceipt, Receipts } from '#src/receipts/index.ts';
import type { EduSource } from '#src/federation/outbox/edus.ts';
import type { ToServersOf } from '#src/federation/outbox/room-servers.ts';
import { createVolatileEdus, type VolatileTools } from '#src/federation/outbox/volatile.ts';

/** The receipts of a room that wait until its servers may be told again; the last of each user and thread. */
type Gathered = Map<string, OwnReceipt>;

const contentOf = (roomId: string, { userId, eventId, threadId, ts }: OwnReceipt): JsonObject => ({
  [roomId]: { 'm.read': { [userId]: { data: { ts, ...(threadId !== undefined && { thread_id: threadId }) }, event_ids: [eventId] } } },
});

/**
 * Tells the other servers in rooms who has read what (server-server API, Receipts); private receipts stay here. A room's servers are told at once, and again after so long
 * that there are `perSecond` transactions a second at most (`federation_rr_transactions_per_room_per_second`), with all that has gathered. Receipts of a thread and of the whole room are
 * EDUs of their own, for they are for the same event often.
 */
export const createReceiptEdus = (
  tools: VolatileTools & { readonly receipts: Pick<Receipts, 'onOwn'>; readonly toServersOf: ToServersOf; readonly perSecond: number },
): EduSource => {
  const edus = createVolatileEdus('m.receipt', tools);
  const resting = new Map<number, Gathered>();

  const tell = (roomNum: number, gathered: Gathered): void =>
    tools.toServersOf(roomNum, ({ roomId }, servers) => {
      for (const [key, receipt] of gathered) edus.put(servers, key, contentOf(roomId, receipt));
      void rest(roomNum, ((servers.size - 1) * 1000) / tools.perSecond);
    });

  const rest = async (roomNum: number, ms: number): Promise<void> => {
    if (resting.has(roomNum)) return;
    resting.set(roomNum, new Map());
    await after(ms, undefined, { ref: false });
    const gathered = resting.get(roomNum);
    resting.delete(roomNum);
    if (gathered !== undefined && gathered.size > 0) tell(roomNum, gathered);
  };

  tools.receipts.onOwn((receipt) => {
    const { roomNum, userId, threadId = '' } = receipt;
    const key = `${String(roomNum)} ${userId} ${threadId}`;
    const gathering = resting.get(roomNum);
    if (gathering === undefined) tell(roomNum, new Map([[key, receipt]]));
    else gathering.set(key, receipt);
  });
  return edus;
};
