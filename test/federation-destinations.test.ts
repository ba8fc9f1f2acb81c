// What administrators see of the servers that this one sends to, and that they can have it tried again.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { AS_ROOT, registerAdministrator } from '#test/support/administrator.ts';
import { assertError, ok, type Json, type Person, type Reply } from '#test/support/client.ts';
import { onEachEngine } from '#test/support/engines.ts';
import { startPeer } from '#test/support/federation.ts';
import { joinAsPeer } from '#test/support/peer-member.ts';
import { json, startScriptedPeer } from '#test/support/scripted-peer.ts';

const DESTINATIONS = '/_synapse/admin/v1/federation/destinations';

onEachEngine('administrators see how sending to other servers is doing, and have it tried again', async (start) => {
  await using server = await startPeer({}, start);
  await using well = await startScriptedPeer();
  await using ill = await startScriptedPeer('127.0.0.1');
  let taken = 0;
  well.on('/_matrix/federation/v1/send/', json({ pdus: {} }));
  ill.on('/_matrix/federation/v1/send/', json({ errcode: 'M_UNKNOWN', error: 'out of order' }, 503));
  const root = await registerAdministrator(server);
  const alice = await server.register('alice');
  const asked = async (path: string, method: 'GET' | 'POST' = 'GET', { get, post }: Person = root): Promise<Reply<Json>> =>
    method === 'GET' ? get(path) : post(path, {});
  const { room_id: roomId } = ok(await alice.post<{ room_id: string }>('/createRoom', { preset: 'public_chat' }));
  assert.deepEqual(ok(await asked(DESTINATIONS)), { destinations: [], total: 0 });
  await joinAsPeer(well, server, roomId);
  await joinAsPeer(ill, server, roomId, 'eve');
  const say = async (body: string) =>
    ok(await alice.put(`/rooms/${encodeURIComponent(roomId)}/send/m.room.message/${body}`, { msgtype: 'm.text', body }));
  await say('first');
  const one = async (name: string): Promise<Json> => ok(await asked(`${DESTINATIONS}/${encodeURIComponent(name)}`));
  const until = async (name: string, what: (status: Json) => boolean): Promise<Json> => {
    for (let tries = 0; tries < 400; tries += 1) {
      const answer = await asked(`${DESTINATIONS}/${encodeURIComponent(name)}`);
      if (answer.status === 200 && what(answer.body)) return answer.body;
      await sleep(25);
    }
    throw new Error(`not so: ${JSON.stringify(await one(name))}`);
  };
  const good = await until(well.name, (status) => status['last_successful_stream_ordering'] !== null && status['waiting_events'] === 0);
  assert.deepEqual([good['failure_ts'], good['retry_last_ts'], good['retry_interval'], good['last_error']], [null, 0, 0, null]);
  const bad = await until(ill.name, (status) => status['last_error'] !== null);
  assert.match(String(bad['last_error']), /503 M_UNKNOWN out of order/u);
  assert.ok((bad['retry_interval'] as number) > 0 && (bad['waiting_events'] as number) > 0);
  assert.ok((bad['retry_last_ts'] as number) >= (bad['failure_ts'] as number));

  const names = async (query: string): Promise<unknown> => {
    const { destinations, ...paging } = ok(await asked(`${DESTINATIONS}?${query}`));
    return [(destinations as Json[]).map((each) => each['destination']), paging];
  };
  const sorted = [well.name, ill.name].toSorted();
  assert.deepEqual(await names(''), [sorted, { total: 2 }]);
  assert.deepEqual(await names('dir=b'), [sorted.toReversed(), { total: 2 }]);
  assert.deepEqual(await names('limit=1'), [sorted.slice(0, 1), { total: 2, next_token: '1' }]);
  assert.deepEqual(await names('limit=1&from=1'), [sorted.slice(1), { total: 2 }]);
  assert.deepEqual(await names('destination=LOCALHOST'), [[well.name], { total: 1 }]);
  assert.deepEqual(await names('order_by=failure_ts'), [[well.name, ill.name], { total: 2 }]);
  for (const query of ['order_by=nothing', 'dir=x', 'limit=-1', 'from=a'])
    assertError(await asked(`${DESTINATIONS}?${query}`), 400, 'M_INVALID_PARAM');
  const rooms = ok(await asked(`${DESTINATIONS}/${encodeURIComponent(ill.name)}/rooms`));
  assert.deepEqual(
    (rooms['rooms'] as Json[]).map((room) => room['room_id']),
    [roomId],
  );
  assert.equal(rooms['total'], 1);

  const reset = async (name: string) => asked(`${DESTINATIONS}/${encodeURIComponent(name)}/reset_connection`, 'POST');
  assertError(await reset(well.name), 400, 'M_UNKNOWN');
  assertError(await reset('nowhere.test'), 404, 'M_NOT_FOUND');
  assertError(await asked(`${DESTINATIONS}/nowhere.test`), 404, 'M_NOT_FOUND');
  assertError(await asked(DESTINATIONS, 'GET', alice), 403, 'M_FORBIDDEN');
  const lines = await server.run('federation', 'status', ...AS_ROOT);
  assert.match(lines, new RegExp(`^${well.name}\\tok; 0 events and 0 rooms wait$`, 'mu'));
  assert.match(
    lines,
    new RegExp(`^${ill.name}\\tnot reached since \\d.*; [1-9].* wait; last error, .*: .*503 M_UNKNOWN out of order`, 'mu'),
  );
  ill.on('/_matrix/federation/v1/send/', (request, response) => {
    taken += 1;
    json({ pdus: {} })(request, response);
  });
  assert.match(await server.run('federation', 'retry', ...AS_ROOT, ill.name), /is sent now/u);
  const mended = await until(ill.name, (status) => status['waiting_events'] === 0);
  assert.deepEqual([mended['failure_ts'], mended['last_error']], [null, null]);
  assert.ok(taken > 0);
});
