import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pdu } from '#src/protocol/events.ts';
import type { RoomEvent, RoomInfo } from '#src/rooms/graph/index.ts';
import { createEventWriter, type ForReader, NOTHING_AROUND } from '#src/rooms/history/client-event.ts';

const ROOM: RoomInfo = { num: 1, roomId: '!room:x', version: '11' };
const READER: ForReader = { ageMs: 5, transactionId: undefined, membership: undefined, relations: undefined };

const eventOf = (num: number, pdu: Partial<Pdu>, more: Partial<RoomEvent> = {}): RoomEvent => ({
  num,
  eventId: `$event${String(num)}`,
  roomNum: 1,
  typeNum: 2,
  senderNum: 3,
  stateKeyNum: pdu.state_key === undefined ? undefined : 4,
  pdu: {
    room_id: '!room:x',
    type: 'm.room.message',
    sender: '@a:x',
    content: { body: 'hi' },
    origin_server_ts: 1000,
    prev_events: ['$before'],
    auth_events: [],
    depth: 7,
    hashes: { sha256: 'h' },
    signatures: {},
    ...pdu,
  },
  json: '{}',
  depth: 7,
  position: 10,
  writerNum: 1,
  stateRoot: '',
  facts: 0,
  fault: undefined,
  redactedBy: undefined,
  ...more,
});

const write = (event: RoomEvent, around = NOTHING_AROUND, reader = READER, withRoomId = true): unknown =>
  JSON.parse(createEventWriter().write(ROOM, event, around, reader, withRoomId, 'client'));

test('clients get what concerns them, with what the reader alone is told', () => {
  const event = eventOf(1, {});
  const common = {
    type: 'm.room.message',
    sender: '@a:x',
    content: { body: 'hi' },
    origin_server_ts: 1000,
    event_id: '$event1',
  };
  assert.deepEqual(write(event), { ...common, room_id: '!room:x', unsigned: { age: 5 } });
  const mine = { ageMs: 7, transactionId: 'txn"1', membership: 'join', relations: undefined };
  assert.deepEqual(write(event, NOTHING_AROUND, mine, false), {
    ...common,
    unsigned: { age: 7, membership: 'join', transaction_id: 'txn"1' },
  });
});

test('state tells what it replaced', () => {
  const before = eventOf(1, { type: 'm.room.name', state_key: '', content: { name: 'old' }, sender: '@b:x' });
  const after = eventOf(2, { type: 'm.room.name', state_key: '', content: { name: 'new' } });
  const written = write(after, { replaced: before, redaction: undefined }) as { unsigned: object; state_key: string };
  assert.equal(written.state_key, '');
  assert.deepEqual(written.unsigned, { age: 5, prev_content: { name: 'old' }, prev_sender: '@b:x', replaces_state: '$event1' });
});

test('a redacted event shows nothing but why, and a redaction says what it redacts at both places', () => {
  const redaction = eventOf(2, { type: 'm.room.redaction', content: { redacts: '$event1', reason: 'spam' } });
  const target = eventOf(1, {}, { redactedBy: 2 });
  const written = write(target, { replaced: undefined, redaction }) as {
    content: object;
    unsigned: { redacted_by: string; redacted_because: { content: object; redacts: string; event_id: string; room_id: string } };
  };
  assert.deepEqual(written.content, {});
  assert.equal(written.unsigned.redacted_by, '$event2');
  assert.deepEqual(written.unsigned.redacted_because.content, { redacts: '$event1', reason: 'spam' });
  assert.equal(written.unsigned.redacted_because.redacts, '$event1');
  assert.equal(written.unsigned.redacted_because.room_id, '!room:x');
});

test('what was replaced and then redacted is shown redacted, though it was shown whole before', () => {
  const writer = createEventWriter();
  const whole = eventOf(1, { type: 'm.room.topic', state_key: '', content: { topic: 'secret' } });
  const after = eventOf(3, { type: 'm.room.topic', state_key: '', content: { topic: 'new' } });
  const text = (replaced: RoomEvent): string => writer.write(ROOM, after, { replaced, redaction: undefined }, READER, true, 'client');
  assert.match(text(whole), /secret/);
  assert.doesNotMatch(text({ ...whole, redactedBy: 9 }), /secret/);
});

test('in the format of servers all that was signed is there', () => {
  const text = createEventWriter().write(ROOM, eventOf(1, {}), NOTHING_AROUND, READER, true, 'federation');
  const written = JSON.parse(text) as Record<string, unknown>;
  assert.deepEqual(written['prev_events'], ['$before']);
  assert.equal(written['event_id'], '$event1');
  assert.equal(written['room_id'], '!room:x');
  assert.deepEqual(written['unsigned'], { age: 5 });
});
