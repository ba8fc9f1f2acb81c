// What other servers are told beside events: who types, and who has read what.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { ok, type Json, type Person } from '#test/support/client.ts';
import { onEachEngine } from '#test/support/engines.ts';
import { startPeer } from '#test/support/federation.ts';
import { joinAsPeer } from '#test/support/peer-member.ts';
import { startScriptedPeer } from '#test/support/scripted-peer.ts';
import { takeTransactions, until } from '#test/support/transactions.ts';

const enc = encodeURIComponent;

const createRoom = async (creator: Person): Promise<string> =>
  ok(await creator.post<{ room_id: string }>('/createRoom', { preset: 'public_chat' })).room_id;

const say = async (person: Person, roomId: string, body: string, content: Json = {}): Promise<string> =>
  ok(
    await person.put<{ event_id: string }>(`/rooms/${enc(roomId)}/send/m.room.message/${enc(body)}`, {
      msgtype: 'm.text',
      body,
      ...content,
    }),
  ).event_id;

const setTyping = async (person: Person, roomId: string, typing: boolean, timeout = 30_000): Promise<void> =>
  void ok(await person.put(`/rooms/${enc(roomId)}/typing/${enc(person.userId)}`, { typing, ...(typing && { timeout }) }));

const read = async (person: Person, roomId: string, eventId: string, type = 'm.read', body: Json = {}): Promise<void> =>
  void ok(await person.post(`/rooms/${enc(roomId)}/receipt/${type}/${enc(eventId)}`, body));

onEachEngine('servers in a room are told who types and who has read what, but nothing private', async (start) => {
  await using server = await startPeer({ settings: { federation_rr_transactions_per_room_per_second: 2 } }, start);
  await using peer = await startScriptedPeer();
  await using stranger = await startScriptedPeer('127.0.0.1');
  const [sent, unsent] = [takeTransactions(peer), takeTransactions(stranger)];
  const alice = await server.register('alice');
  const roomId = await createRoom(alice);
  const alone = await createRoom(alice);
  await joinAsPeer(peer, server, roomId);
  const edus = (type: string): Json[] =>
    sent
      .taken()
      .flatMap((each) => each.edus)
      .filter(({ edu_type: each }) => each === type)
      .map(({ content }) => content);
  await setTyping(alice, roomId, true);
  await setTyping(alice, roomId, true);
  await setTyping(alice, alone, true);
  await until('she types', () => edus('m.typing').length === 1);
  await setTyping(alice, roomId, false);
  await setTyping(alice, roomId, false);
  await until('she types no more', () => edus('m.typing').length === 2);
  await setTyping(alice, roomId, true, 50);
  await until('she types for a moment', () => edus('m.typing').length === 4);
  const said = (typing: boolean): Json => ({ room_id: roomId, user_id: alice.userId, typing });
  assert.deepEqual(edus('m.typing'), [said(true), said(false), said(true), said(false)]);

  const root = await say(alice, roomId, 'root');
  const events = [root, await say(alice, roomId, 'one'), await say(alice, roomId, 'two'), await say(alice, roomId, 'three')];
  const inThread = await say(alice, roomId, 'in the thread', { 'm.relates_to': { rel_type: 'm.thread', event_id: root } });
  await read(alice, roomId, root);
  await until('the first receipt', () => edus('m.receipt').length === 1);
  for (const eventId of events.slice(1)) await read(alice, roomId, eventId);
  await read(alice, roomId, inThread, 'm.read.private');
  await read(alice, roomId, inThread);
  await read(alice, roomId, inThread, 'm.read', { thread_id: root });
  await read(alice, roomId, root);
  await until('the others together', () => edus('m.receipt').length === 3);
  const receipts = edus('m.receipt').map((content) => {
    const { [alice.userId]: receipt } = (content[roomId] as Json)['m.read'] as Record<string, { event_ids: string[]; data: Json }>;
    assert.ok(Math.abs(Number(receipt?.data['ts']) - Date.now()) < 600_000);
    return [receipt?.event_ids, receipt?.data['thread_id']];
  });
  assert.deepEqual(receipts, [
    [[root], undefined],
    [[inThread], undefined],
    [[inThread], root],
  ]);
  assert.ok(!JSON.stringify(sent.all).includes('private'));
  assert.deepEqual(unsent.all, []);
});

interface Synced {
  readonly next_batch: string;
  readonly rooms?: { readonly join?: Readonly<Record<string, { readonly ephemeral?: { readonly events: readonly Json[] } }>> };
}

onEachEngine('users of two servers see one another type and read', async (start) => {
  await using one = await startPeer({}, start);
  await using two = await startPeer();
  const [alice, bob] = [await one.register('alice'), await two.register('bob')];
  const roomId = await createRoom(alice);
  ok(await bob.post(`/join/${enc(roomId)}?server_name=${enc(one.name)}`));
  for (const [teller, hearer] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    const told = async (since: string, type: string): Promise<unknown> => {
      for (let [tries, from] = [0, since]; tries < 20; tries += 1) {
        const synced = ok(await hearer.get<Synced>(`/sync?timeout=3000&since=${from}`));
        const found = synced.rooms?.join?.[roomId]?.ephemeral?.events.find((event) => event['type'] === type);
        if (found !== undefined) return found['content'];
        from = synced.next_batch;
      }
      throw new Error(`${type} was not told`);
    };
    const eventId = await say(teller, roomId, `of ${teller.userId}`);
    await sleep(100);
    const { next_batch: since } = ok(await hearer.get<Synced>('/sync?timeout=0'));
    await setTyping(teller, roomId, true);
    assert.deepEqual(await told(since, 'm.typing'), { user_ids: [teller.userId] });
    await read(teller, roomId, eventId, 'm.read', { thread_id: 'main' });
    const receipts = (await told(since, 'm.receipt')) as Record<string, Record<string, Record<string, Json>>>;
    assert.equal(receipts[eventId]?.['m.read']?.[teller.userId]?.['thread_id'], 'main');
    await setTyping(teller, roomId, false);
  }
});
