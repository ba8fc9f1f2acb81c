// What other servers are told beside events: who types, who has read what, messages to devices, and whose devices have changed.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { ok, type Json, type Person, personOf, type Session } from '#test/support/client.ts';
import { crossSigning, signedDevice } from '#test/support/cross-signing.ts';
import { onEachEngine } from '#test/support/engines.ts';
import { startPeer } from '#test/support/federation.ts';
import { joinAsPeer } from '#test/support/peer-member.ts';
import { startScriptedPeer } from '#test/support/scripted-peer.ts';
import { type Received, takeTransactions, until } from '#test/support/transactions.ts';

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

onEachEngine(
  'messages to devices of other servers arrive in order, also when the server is killed before they could be sent',
  async (start) => {
    await using server = await startPeer({ settings: { federation: { destination_min_retry_interval: '1s' } } }, start);
    await using peer = await startScriptedPeer();
    const sent = takeTransactions(peer);
    const alice = await server.register('alice');
    const bob = await joinAsPeer(peer, server, await createRoom(alice));
    const send = async (index: number): Promise<void> => {
      const messages = { [bob.userId]: { ONE: { index }, '*': { index, other: 1.5 } } };
      ok(await alice.put(`/sendToDevice/m.test/${String(index)}`, { messages }));
    };
    const contents = (of: readonly Received[] = sent.taken()): Json[] =>
      of.flatMap((each) => each.edus.filter(({ edu_type: type }) => type === 'm.direct_to_device')).map(({ content }) => content);
    await send(0);
    await until('the first message', () => contents().length === 1);
    const { message_id: firstId, ...first } = contents()[0] ?? {};
    assert.deepEqual(first, {
      sender: alice.userId,
      type: 'm.test',
      messages: { [bob.userId]: { ONE: { index: 0 }, '*': { index: 0, other: 1.5 } } },
    });
    sent.answer(503);
    for (let index = 1; index < 5; index += 1) await send(index);
    await until('a try', () => contents(sent.all).length > 1);
    const tried = contents(sent.all)[1]?.['message_id'];
    await server.kill();
    sent.answer(200);
    await server.start();
    await until('all messages', () => contents().length >= 5);
    const indices = contents().map((content) => ((content['messages'] as Json)[bob.userId] as Record<string, Json>)['ONE']?.['index']);
    assert.deepEqual(indices, [0, 1, 2, 3, 4]);
    assert.equal(contents()[1]?.['message_id'], tried, 'what is sent again has the same id');
    assert.equal(new Set([...contents().map((content) => content['message_id']), firstId]).size, 5);
  },
);

onEachEngine('servers that share a room with a user are told of changed devices, each naming the change before it', async (start) => {
  await using server = await startPeer({ settings: { federation: { destination_min_retry_interval: '1s' } } }, start);
  await using peer = await startScriptedPeer();
  await using stranger = await startScriptedPeer('127.0.0.1');
  const [sent, unsent] = [takeTransactions(peer), takeTransactions(stranger)];
  const alice = await server.register('alice');
  /** What was told before a crash, and not yet written off, is told again: the first of each change counts. */
  const updates = (): Json[] => {
    const all = sent
      .taken()
      .flatMap((each) => each.edus)
      .filter(({ edu_type: type }) => type === 'm.device_list_update')
      .map(({ content }) => content);
    return all.filter(({ stream_id: id }, index) => all.findIndex((each) => each['stream_id'] === id) === index);
  };
  const roomId = await createRoom(alice);
  await joinAsPeer(peer, server, roomId);
  const { json: deviceKeys } = signedDevice(alice.userId, alice.deviceId);
  ok(await alice.post('/keys/upload', { device_keys: deviceKeys }));
  await until('the first keys', () => updates().at(-1)?.['keys'] !== undefined);
  const known = updates().length;
  const { stream_id: id, ...told } = updates().at(-1) ?? {};
  assert.deepEqual({ ...told, prev_id: [] }, { user_id: alice.userId, device_id: alice.deviceId, keys: deviceKeys, prev_id: [] });
  const login = {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: 'alice' },
    password: 'password of alice',
    device_id: 'OTHER',
  };
  const other = personOf(server.pool, ok(await server.anybody.post<Session>('/login', login)));
  await until('another device', () => updates().length === known + 1);
  const { stream_id: second, ...added } = updates().at(-1) ?? {};
  assert.deepEqual(added, { user_id: alice.userId, device_id: 'OTHER', prev_id: [id] });
  sent.answer(503);
  ok(await other.post('/logout'));
  ok(await alice.put(`/devices/${enc(alice.deviceId)}`, { display_name: 'A secret name' }));
  await server.kill();
  sent.answer(200);
  await server.start();
  await until('what has changed meanwhile', () => updates().length >= known + 3);
  const [deleted, renamed] = updates().slice(known + 1);
  assert.deepEqual([deleted?.['device_id'], deleted?.['deleted'], deleted?.['prev_id']], ['OTHER', true, [second]]);
  assert.deepEqual([renamed?.['device_id'], renamed?.['prev_id']], [alice.deviceId, [deleted?.['stream_id']]]);
  assert.ok(!JSON.stringify(sent.all).includes('secret'));

  const keys = crossSigning(alice.userId);
  ok(await alice.post('/keys/device_signing/upload', keys.body));
  const signing = (): Json | undefined =>
    sent
      .taken()
      .flatMap((each) => each.edus)
      .find(({ edu_type: type }) => type === 'm.signing_key_update')?.content;
  await until('the cross-signing keys', () => signing() !== undefined);
  assert.deepEqual([signing()?.['master_key'], signing()?.['user_signing_key']], [keys.masterObject, undefined]);
  assert.deepEqual(unsent.all, []);
});

onEachEngine('users of another server are told of changed devices, and have their keys; messages come to their devices', async (start) => {
  await using one = await startPeer({}, start);
  await using two = await startPeer();
  const [alice, bob] = [await one.register('alice'), await two.register('bob')];
  const roomId = await createRoom(alice);
  ok(await bob.post(`/join/${enc(roomId)}?server_name=${enc(one.name)}`));
  interface Told {
    readonly next_batch: string;
    readonly device_lists?: { readonly changed?: readonly string[] };
    readonly to_device?: { readonly events: readonly Json[] };
  }
  const untilTold = async <Found>(since: string, look: (told: Told) => Found | undefined): Promise<Found> => {
    for (let [tries, from] = [0, since]; tries < 20; tries += 1) {
      const told = ok(await bob.get<Told>(`/sync?timeout=3000&since=${from}`));
      const found = look(told);
      if (found !== undefined) return found;
      from = told.next_batch;
    }
    throw new Error('It was not told');
  };
  ok(await bob.post('/keys/query', { device_keys: { [alice.userId]: [] } }));
  await sleep(500);
  const { next_batch: since } = ok(await bob.get<Told>('/sync?timeout=0'));
  const { json: deviceKeys } = signedDevice(alice.userId, alice.deviceId);
  ok(await alice.post('/keys/upload', { device_keys: deviceKeys }));
  await untilTold(since, ({ device_lists: lists }) => (lists?.changed?.includes(alice.userId) === true ? true : undefined));
  const found = ok(await bob.post<{ device_keys: Json }>('/keys/query', { device_keys: { [alice.userId]: [] } }));
  assert.deepEqual(found.device_keys, { [alice.userId]: { [alice.deviceId]: { ...deviceKeys, unsigned: {} } } });
  ok(await alice.put('/sendToDevice/m.test/1', { messages: { [bob.userId]: { [bob.deviceId]: { n: 1 } } } }));
  const message = await untilTold(since, ({ to_device: to }) => to?.events[0]);
  assert.deepEqual(message, { type: 'm.test', sender: alice.userId, content: { n: 1 } });
});
