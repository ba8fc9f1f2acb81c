import assert from 'node:assert/strict';
import { withBothDatabases } from '#test/support/databases.ts';
import { message, openRoomsWorld } from '#test/support/rooms-world.ts';
import { systemClock } from '#src/platform/clock.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import { systemRandom } from '#src/platform/random.ts';
import { createAccountData } from '#src/account-data/index.ts';
import type { Requester } from '#src/accounts/index.ts';
import { createReceipts, type Receipts } from '#src/receipts/index.ts';
import { createTyping, type Typing } from '#src/typing/index.ts';

const ALICE = '@alice:one.example';

interface Sync {
  readonly next_batch: string;
  readonly account_data?: { readonly events: readonly unknown[] };
  readonly rooms?: {
    readonly join: Readonly<
      Record<
        string,
        {
          readonly timeline: { readonly events: readonly unknown[]; readonly limited: boolean };
          readonly ephemeral: { readonly events: readonly { readonly type: string }[] };
          readonly account_data: { readonly events: readonly { readonly type: string }[] };
        }
      >
    >;
  };
}

withBothDatabases('typing, account data and receipts come with sync', async (_t, open) => {
  const database = await open();
  const strings = createStrings(database);
  const accountData = createAccountData({ database, strings });
  const slices: { typing?: Typing; receipts?: Receipts } = {};
  const world = await openRoomsWorld(database, (graph) => {
    const typing = createTyping({ graph, random: systemRandom });
    const receipts = createReceipts({ database, strings, clock: systemClock, graph, accountData });
    Object.assign(slices, { typing, receipts });
    return { sources: [typing.source, accountData.source, receipts.source] };
  });
  const { typing, receipts } = slices as Required<typeof slices>;
  const userNum = (await strings.intern([ALICE])).get(ALICE) as number;
  const alice: Requester = { userId: ALICE, userNum, deviceId: 'D', sessionNum: 1, isGuest: false, isAdmin: false };
  const room = await world.makeRoom(ALICE);
  const sync = async (since?: string, query = ''): Promise<Sync> =>
    world.get(ALICE, `/sync?${since === undefined ? '' : `since=${since}`}${query}`);
  let { next_batch: since } = await sync();

  const waiting = sync(since, '&timeout=20000');
  await accountData.set({ userNum, roomNum: undefined, type: 'x.settings' }, { dark: true });
  const settled = await waiting;
  assert.deepEqual(settled.account_data?.events, [{ type: 'x.settings', content: { dark: true } }]);
  assert.equal(settled.rooms, undefined);
  since = settled.next_batch;

  const event = await world.append(room, message(ALICE, 'read me'));
  since = (await sync(since)).next_batch;
  await typing.set(alice, room.roomId, ALICE, true, 30_000);
  await receipts.mark(alice, room.roomId, [
    { type: 'm.read', eventId: event.eventId, threadId: undefined },
    { type: 'm.fully_read', eventId: event.eventId, threadId: undefined },
  ]);
  const changed = await sync(since);
  const json = changed.rooms?.join[room.roomId];
  assert.deepEqual(json?.ephemeral.events.map(({ type }) => type).toSorted(), ['m.receipt', 'm.typing']);
  assert.deepEqual(
    json?.account_data.events.map(({ type }) => type),
    ['m.fully_read'],
  );
  assert.deepEqual(json?.timeline.events, []);
  assert.equal((await sync(changed.next_batch)).rooms, undefined);
  const filter = encodeURIComponent(JSON.stringify({ account_data: { types: [] }, room: { ephemeral: { not_types: ['m.typing'] } } }));
  const first = await sync(undefined, `&filter=${filter}`);
  assert.equal(first.account_data, undefined);
  assert.deepEqual(
    first.rooms?.join[room.roomId]?.ephemeral.events.map(({ type }) => type),
    ['m.receipt'],
  );
  typing.close();
  world.close();
});
