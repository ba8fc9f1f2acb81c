// Messages from device to device over HTTP: waking who waits, thousands for a device that was away, and deletion with the device.

import assert from 'node:assert/strict';
import { assertError, type Json, ok, type Person } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';

interface Answer {
  readonly next_batch: string;
  readonly to_device?: { readonly events: readonly { readonly content: Json; readonly sender: string; readonly type: string }[] };
}

const sync = async (person: Person, since?: string, timeoutMs = 0): Promise<Answer> => {
  const from = since === undefined ? '' : `&since=${encodeURIComponent(since)}`;
  return ok(await person.get<Answer>(`/sync?timeout=${String(timeoutMs)}${from}`));
};

const numbers = ({ to_device: toDevice }: Answer): unknown[] => (toDevice?.events ?? []).map(({ content }) => content['n']);

const send = async (from: Person, txnId: string, messages: Json): Promise<void> => {
  ok(await from.put(`/sendToDevice/x.type/${encodeURIComponent(txnId)}`, { messages }));
};

onEachEngine('a message wakes the device that waits for it', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const { next_batch: since } = await sync(bob);
  const waiting = sync(bob, since, 20_000);
  await send(alice, '1', { [bob.userId]: { [bob.deviceId]: { n: 1 } } });
  const answer = await waiting;
  assert.deepEqual(answer.to_device?.events, [{ content: { n: 1 }, sender: alice.userId, type: 'x.type' }]);
  assert.deepEqual((await sync(bob, since)).to_device, answer.to_device, 'the answer may have been lost');
  assert.equal((await sync(bob, answer.next_batch)).to_device, undefined);
  assert.equal((await sync(bob)).to_device, undefined, 'it has arrived');
  assertError(await alice.put('/sendToDevice/x.type/2', {}), 400, 'M_MISSING_PARAM');
  assertError(await alice.put('/sendToDevice/x.type/2', { messages: { [bob.userId]: { '*': 'text' } } }), 400, 'M_BAD_JSON');
  assertError(
    await alice.put('/sendToDevice/x.type/2', { messages: { [bob.userId]: { '*': { text: 'x'.repeat(65_536) } } } }),
    413,
    'M_TOO_LARGE',
  );
});

onEachEngine('10,000 messages wait for a device that is away, also over a restart', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const { next_batch: before } = await sync(bob);
  const COUNT = 10_000;
  const SENDERS = 20;
  await Promise.all(
    Array.from({ length: SENDERS }, async (_, sender) => {
      for (let n = 0; n < COUNT / SENDERS; n++)
        await send(alice, `${String(sender)} ${String(n)}`, { [bob.userId]: { [bob.deviceId]: { n: sender * COUNT + n } } });
    }),
  );
  await server.kill();
  await server.start();
  const found: number[] = [];
  let answer = await sync(bob, before);
  for (; numbers(answer).length > 0; answer = await sync(bob, answer.next_batch)) {
    assert.ok(numbers(answer).length <= 100);
    found.push(...(numbers(answer) as number[]));
  }
  assert.equal(found.length, COUNT);
  assert.equal(new Set(found).size, COUNT);
  for (let sender = 0; sender < SENDERS; sender++) {
    const own = found.filter((n) => Math.floor(n / COUNT) === sender);
    assert.deepEqual(
      own,
      own.toSorted((a, b) => a - b),
      'in the order of each sender',
    );
  }
});

onEachEngine('messages go with the device, and the next of its name has none of them', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  await send(alice, '1', { [bob.userId]: { '*': { n: 1 } } });
  ok(await bob.post('/logout'));
  const login = { type: 'm.login.password', user: 'bob', password: 'password of bob', device_id: bob.deviceId };
  const { access_token: token } = ok(await server.anybody.post<{ access_token: string }>('/login', login));
  const answer = ok(await server.anybody.get<Answer>(`/sync?timeout=0&access_token=${token}`));
  assert.equal(answer.to_device, undefined);
});
