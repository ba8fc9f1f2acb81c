// The homeserver is killed during bursts of sends. Whatever it had answered for is there afterwards: once, and in each sender's order.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { ok, type Json, type Person } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';
import type { Server } from './support/server.ts';

const ROUNDS = process.env['MYELIN_LONG'] === '1' ? 20 : 3;
const SENDERS_IN_ROOM = [3, 1];

interface Page {
  readonly chunk: readonly { readonly event_id: string; readonly type: string; readonly content: Json }[];
  readonly end?: string;
}

interface Answer {
  readonly next_batch: string;
  readonly rooms?: { readonly join?: Readonly<Record<string, unknown>> };
}

/** Somebody who sends numbered messages, one at a time, and remembers which were answered for. */
interface Sender {
  readonly person: Person;
  readonly room: string;
  readonly acknowledged: { readonly body: string; readonly eventId: string }[];
  /** The message that a crash left without an answer; sent again with the same transaction id. */
  unanswered: string | undefined;
  next: number;
}

const sendNext = async (sender: Sender): Promise<void> => {
  const body = sender.unanswered ?? `${sender.person.userId} ${String(sender.next++)}`;
  sender.unanswered = body;
  const path = `/rooms/${sender.room}/send/m.room.message/${encodeURIComponent(body)}`;
  const { event_id: eventId } = ok(await sender.person.put<{ event_id: string }>(path, { msgtype: 'm.text', body }));
  sender.acknowledged.push({ body, eventId });
  sender.unanswered = undefined;
};

/** Sends until the server is gone. */
const burst = async (sender: Sender): Promise<void> => {
  try {
    for (;;) await sendNext(sender);
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
  }
};

const makeSenders = async (server: Server): Promise<Sender[]> => {
  const senders: Sender[] = [];
  for (const [index, count] of SENDERS_IN_ROOM.entries()) {
    const people = await Promise.all(Array.from({ length: count }, (_, number) => server.register(`r${String(index)}s${String(number)}`)));
    const [owner] = people;
    assert.ok(owner);
    const { room_id } = ok(await owner.post<{ room_id: string }>('/createRoom', { preset: 'public_chat' }));
    const room = encodeURIComponent(room_id);
    for (const person of people) {
      ok(await person.post(`/join/${room}`));
      senders.push({ person, room, acknowledged: [], unanswered: undefined, next: 0 });
    }
  }
  return senders;
};

/** All messages of a room, oldest first. */
const history = async ({ person, room }: Sender): Promise<{ body: string; eventId: string }[]> => {
  const found: { body: string; eventId: string }[] = [];
  for (let from: string | undefined = ''; from !== undefined;) {
    const position: string = from === '' ? '' : `&from=${encodeURIComponent(from)}`;
    const page: Page = ok(await person.get<Page>(`/rooms/${room}/messages?dir=b&limit=500${position}`));
    for (const { type, content, event_id: eventId } of page.chunk) {
      if (type === 'm.room.message') found.push({ body: String(content['body']), eventId });
    }
    from = page.chunk.length > 0 ? page.end : undefined;
  }
  return found.toReversed();
};

const checkHistory = async (senders: readonly Sender[]): Promise<void> => {
  for (const sender of senders) {
    const mine = (await history(sender)).filter(({ body }) => body.startsWith(`${sender.person.userId} `));
    assert.equal(new Set(mine.map(({ body }) => body)).size, mine.length, 'a message stands there twice');
    // What was answered for is there under the id that was answered, in order; at its end may stand one that got no answer.
    assert.deepEqual(mine.slice(0, sender.acknowledged.length), sender.acknowledged);
    assert.ok(mine.length <= sender.acknowledged.length + (sender.unanswered === undefined ? 0 : 1));
  }
};

onEachEngine(`killed during sends, ${String(ROUNDS)} times`, async (startOnEngine) => {
  await using server = await startOnEngine();
  const senders = await makeSenders(server);
  const [follower] = senders;
  assert.ok(follower);
  let { next_batch: since } = ok(await follower.person.get<Answer>('/sync?timeout=0'));
  for (let round = 0; round < ROUNDS; round++) {
    const before = senders.map(({ acknowledged }) => acknowledged.length);
    const bursts = senders.map(burst);
    await sleep(200 + Math.random() * 300); // so that the kill falls anywhere
    await server.kill();
    await Promise.all(bursts);
    for (const [index, sender] of senders.entries()) {
      assert.ok(sender.acknowledged.length > (before[index] ?? 0), `${sender.person.userId} sent nothing in round ${String(round)}`);
    }

    await server.start();
    await checkHistory(senders);
    const answer: Answer = ok(await follower.person.get<Answer>(`/sync?timeout=0&since=${encodeURIComponent(since)}`));
    assert.ok(answer.rooms?.join?.[decodeURIComponent(follower.room)], 'a position from before the crash goes on');
    since = answer.next_batch;
    for (const sender of senders) await sendNext(sender);
    await checkHistory(senders);
  }
});

/** Sends numbered messages to a device, one at a time, a repeated one with the transaction id of the first, until the server is gone. */
const burstToDevice = async (from: Person, device: Person, state: { acknowledged: number; open: boolean }): Promise<void> => {
  try {
    for (;;) {
      const n = state.acknowledged;
      state.open = true;
      const messages = { [device.userId]: { [device.deviceId]: { from: from.userId, n } } };
      ok(await from.put(`/sendToDevice/x.number/${String(n)}`, { messages }));
      state.acknowledged += 1;
      state.open = false;
    }
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
  }
};

interface Inbox {
  readonly next_batch: string;
  readonly to_device?: { readonly events: readonly { readonly content: { readonly from: string; readonly n: number } }[] };
}

onEachEngine(`killed during messages to devices, ${String(ROUNDS)} times`, async (startOnEngine) => {
  await using server = await startOnEngine();
  const [bob, ...senders] = [await server.register('bob'), await server.register('s1'), await server.register('s2')];
  const states = senders.map(() => ({ acknowledged: 0, open: false }));
  const received = new Map(senders.map(({ userId }) => [userId, 0]));
  let { next_batch: since } = ok(await bob.get<Inbox>('/sync?timeout=0'));
  /** Reads on until the server is gone or, where it stays, there is nothing more. Tokens that were not answered for are used again. */
  const read = async (toEnd: boolean): Promise<void> => {
    for (;;) {
      const path = `/sync?timeout=${toEnd ? '0' : '1000'}&since=${encodeURIComponent(since)}`;
      const answer = ok(await bob.get<Inbox>(path));
      for (const { content } of answer.to_device?.events ?? []) {
        assert.equal(content.n, received.get(content.from), 'each comes once, in the order of its sender');
        received.set(content.from, content.n + 1);
      }
      since = answer.next_batch;
      if (toEnd && answer.to_device === undefined) return;
    }
  };
  for (let round = 0; round < ROUNDS; round++) {
    const before = states.map(({ acknowledged }) => acknowledged);
    const bursts = senders.map((sender, index) => burstToDevice(sender, bob, states[index] as (typeof states)[number]));
    const reading = read(false).catch((error: unknown) => {
      if (error instanceof assert.AssertionError) throw error;
    });
    await sleep(200 + Math.random() * 300); // so that the kill falls anywhere
    await server.kill();
    await Promise.all([...bursts, reading]);
    await server.start();
    await read(true);
    for (const [index, { userId }] of senders.entries()) {
      const { acknowledged, open } = states[index] as (typeof states)[number];
      assert.ok(acknowledged > (before[index] ?? 0), 'something was sent');
      const count = received.get(userId) ?? 0;
      assert.ok(count === acknowledged || (open && count === acknowledged + 1), `${String(count)} of ${String(acknowledged)}`);
    }
  }
});
