// Who is online, told to other servers.
import assert from 'node:assert/strict';
import { ok, type Json, type Person } from '#test/support/client.ts';
import { onEachEngine } from '#test/support/engines.ts';
import { startPeer } from '#test/support/federation.ts';
import { joinAsPeer } from '#test/support/peer-member.ts';
import { startScriptedPeer } from '#test/support/scripted-peer.ts';
import { hasSynapse, NO_SYNAPSE, type Server } from '#test/support/server.ts';
import { takeTransactions, until } from '#test/support/transactions.ts';

const enc = encodeURIComponent;

interface Synced {
  readonly next_batch: string;
  readonly presence?: { readonly events: readonly { readonly sender: string; readonly content: Json }[] };
}

const put = async (who: Person, presence: string, message: string): Promise<void> => {
  ok(await who.put(`/presence/${enc(who.userId)}/status`, { presence, status_msg: message }));
};

const createRoom = async (creator: Person): Promise<string> =>
  ok(await creator.post<{ room_id: string }>('/createRoom', { preset: 'public_chat' })).room_id;

const quietly = async (reader: Person, since?: string): Promise<Synced> =>
  ok(await reader.get<Synced>(`/sync?set_presence=offline&timeout=${since === undefined ? '0' : `5000&since=${since}`}`));

/** Waits until a reader is told that somebody is so, with this message. */
const untilTold = async (reader: Person, since: string, of: Person, presence: string, message: string): Promise<void> => {
  for (let [tries, from] = [0, since]; tries < 30; tries += 1) {
    const synced = await quietly(reader, from);
    const contents = (synced.presence?.events ?? []).filter(({ sender }) => sender === of.userId).map(({ content }) => content);
    if (contents.some((content) => content['presence'] === presence && content['status_msg'] === message)) return;
    from = synced.next_batch;
  }
  throw new Error(`${reader.userId} was not told that ${of.userId} is ${presence}`);
};

onEachEngine('servers that share a room with a user are told how the user is', async (start) => {
  await using server = await startPeer({}, start);
  await using peer = await startScriptedPeer();
  await using stranger = await startScriptedPeer('127.0.0.1');
  const [sent, unsent] = [takeTransactions(peer), takeTransactions(stranger)];
  const [alice, carol] = [await server.register('alice'), await server.register('carol')];
  const roomId = await createRoom(alice);
  const states = (): Json[] =>
    sent
      .taken()
      .flatMap(({ edus }) => edus)
      .filter(({ edu_type: type }) => type === 'm.presence')
      .flatMap(({ content }) => content['push'] as Json[]);
  await put(alice, 'online', 'before anybody came');
  await put(carol, 'online', 'alone');
  await joinAsPeer(peer, server, roomId);
  await until('the presence of who is there', () => states().length > 0);
  const [first] = states();
  const ago = first?.['last_active_ago'];
  assert.ok(typeof ago === 'number' && ago >= 0 && ago < 600_000);
  assert.deepEqual(first, {
    user_id: alice.userId,
    presence: 'online',
    currently_active: true,
    status_msg: 'before anybody came',
    last_active_ago: ago,
  });
  const other = await createRoom(alice);
  await joinAsPeer(peer, server, other, 'eve');
  for (const message of ['one', 'two', 'three', 'four']) await put(alice, 'unavailable', message);
  await until('the last word', () => states().at(-1)?.['status_msg'] === 'four');
  const messages = states().map(({ status_msg: message }) => message);
  assert.ok(messages.filter((message) => message !== 'before anybody came').length < 4, `not each by itself: ${messages.join(', ')}`);
  assert.ok(!messages.includes('alone'));
  assert.deepEqual(unsent.all, []);
});

const meet = async (one: Server, two: Server): Promise<void> => {
  const [alice, bob] = [await one.register('alice'), await two.register('bob')];
  const roomId = await createRoom(alice);
  await put(alice, 'online', 'here first');
  const { next_batch: before } = await quietly(bob);
  ok(await bob.post(`/join/${enc(roomId)}?server_name=${enc(one.name)}`));
  await untilTold(bob, before, alice, 'online', 'here first');
  for (const [teller, hearer] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    const { next_batch: since } = await quietly(hearer);
    await put(teller, 'online', `I am ${teller.userId}`);
    await untilTold(hearer, since, teller, 'online', `I am ${teller.userId}`);
    await put(teller, 'unavailable', 'away');
    await untilTold(hearer, since, teller, 'unavailable', 'away');
  }
};

onEachEngine('users of two servers see who of them is online', async (start) => {
  await using one = await startPeer({}, start);
  await using two = await startPeer();
  await meet(one, two);
});

onEachEngine(
  'users of a real Synapse see who is online here, and are seen',
  async (start) => {
    await using one = await startPeer({}, start);
    await using two = await startPeer({ program: 'synapse' });
    await meet(one, two);
  },
  { skip: hasSynapse ? false : NO_SYNAPSE },
);
