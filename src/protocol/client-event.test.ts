import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clientEvent, redactsOf, syncEvent, withUnsigned } from '#src/protocol/client-event.ts';
import type { Pdu, RoomEvent } from '#src/protocol/events.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { strippedEvent } from '#src/protocol/stripped-state.ts';

const event = (more: Partial<Pdu>): RoomEvent => ({
  eventId: '$e',
  roomId: '!r:x',
  pdu: {
    type: 'm.room.message',
    sender: '@a:x',
    content: { body: 'hi' },
    origin_server_ts: 5,
    prev_events: [],
    auth_events: [],
    depth: 1,
    hashes: { sha256: '' },
    signatures: {},
    ...more,
  },
});

describe('client events', () => {
  it('have the keys that are for clients', () => {
    const message = { type: 'm.room.message', sender: '@a:x', content: { body: 'hi' }, event_id: '$e', origin_server_ts: 5 };
    assert.deepEqual(syncEvent(event({}), roomVersion('11')), message);
    assert.deepEqual(clientEvent(event({ state_key: '' }), roomVersion('12')), { ...message, state_key: '', room_id: '!r:x' });
  });

  it('say at both places what a redaction redacts', () => {
    const modern = event({ type: 'm.room.redaction', content: { redacts: '$x', reason: 'y' } });
    const old = event({ type: 'm.room.redaction', content: { reason: 'y' }, redacts: '$x' });
    for (const [redaction, id] of [
      [modern, '11'],
      [old, '10'],
    ] as const) {
      const { content, redacts } = clientEvent(redaction, roomVersion(id));
      assert.deepEqual({ content, redacts }, { content: { redacts: '$x', reason: 'y' }, redacts: '$x' });
    }
  });

  it('look for redacts where the version has it, and on redactions only', () => {
    assert.equal(redactsOf(event({ type: 'm.room.redaction', redacts: '$x' }), roomVersion('11')), undefined);
    assert.equal(redactsOf(event({ type: 'm.room.redaction', content: { redacts: '$x' } }), roomVersion('10')), undefined);
    assert.equal(redactsOf(event({ content: { redacts: '$x' } }), roomVersion('11')), undefined);
    assert.equal(redactsOf(event({ type: 'm.room.redaction', content: { redacts: 1 } }), roomVersion('11')), undefined);
  });

  it('get unsigned put in as text', () => {
    const json = JSON.stringify(syncEvent(event({}), roomVersion('11')));
    assert.deepEqual(JSON.parse(withUnsigned(json, { age: 3 })), { ...(JSON.parse(json) as object), unsigned: { age: 3 } });
    assert.equal(withUnsigned(json, undefined), json);
  });

  it('are stripped to four keys', () => {
    assert.deepEqual(strippedEvent(event({ type: 'm.room.name', state_key: '', content: { name: 'x' } }).pdu), {
      type: 'm.room.name',
      state_key: '',
      sender: '@a:x',
      content: { name: 'x' },
    });
  });
});
