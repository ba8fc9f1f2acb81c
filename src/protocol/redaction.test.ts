import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '#src/protocol/json.ts';
import { redact, redactContent } from '#src/protocol/redaction.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';

const SUPPORTED = ['6', '7', '8', '9', '10', '11', '12'];

/** An object with these keys. */
const withKeys = (...keys: readonly string[]): JsonObject => Object.fromEntries(keys.map((key) => [key, key]));

const kept = (id: string, type: string, content: JsonObject): string =>
  Object.keys(redactContent(type, content, roomVersion(id)))
    .sort()
    .join(' ');

describe('redaction', () => {
  const all = [
    'event_id',
    'type',
    'room_id',
    'sender',
    'state_key',
    'hashes',
    'signatures',
    'depth',
    'prev_events',
    'auth_events',
    'origin_server_ts',
  ];
  const old = ['prev_state', 'origin', 'membership'];
  for (const id of SUPPORTED) {
    it(`v${id}: keeps the right keys of an event`, () => {
      const event = { ...withKeys(...all, ...old, 'unsigned', 'redacts', 'org.example'), type: 'm.room.message', content: { body: 'x' } };
      const redacted = redact(event, roomVersion(id));
      const expected = [...all, 'content', ...(Number(id) < 11 ? old : [])];
      assert.deepEqual(Object.keys(redacted).sort(), expected.sort());
      assert.deepEqual(redacted.content, {});
      assert.deepEqual(event.content, { body: 'x' });
    });
  }

  const levels = [
    'ban',
    'events',
    'events_default',
    'invite',
    'kick',
    'notifications',
    'redact',
    'state_default',
    'users',
    'users_default',
  ];
  const keptLevels = levels.filter((level) => level !== 'notifications');
  const table: [type: string, keys: readonly string[], expected: Record<string, string>][] = [
    [
      'm.room.member',
      ['membership', 'displayname', 'join_authorised_via_users_server', 'third_party_invite'],
      {
        6: 'membership',
        8: 'membership',
        9: 'join_authorised_via_users_server membership',
        11: 'join_authorised_via_users_server membership',
      },
    ],
    ['m.room.create', ['creator', 'm.federate', 'type'], { 6: 'creator', 11: 'creator m.federate type' }],
    ['m.room.join_rules', ['join_rule', 'allow', 'x'], { 6: 'join_rule', 8: 'allow join_rule' }],
    ['m.room.power_levels', levels, { 6: keptLevels.filter((level) => level !== 'invite').join(' '), 11: keptLevels.join(' ') }],
    ['m.room.history_visibility', ['history_visibility', 'x'], { 6: 'history_visibility' }],
    ['m.room.aliases', ['aliases'], { 6: '' }],
    ['m.room.redaction', ['redacts', 'reason'], { 6: '', 11: 'redacts' }],
    ['m.room.name', ['name'], { 6: '' }],
  ];
  for (const [type, keys, expected] of table) {
    for (const id of SUPPORTED) {
      it(`v${id}: keeps the right keys of ${type}`, () => {
        const since = Object.keys(expected).findLast((first) => Number(first) <= Number(id))!;
        assert.equal(kept(id, type, withKeys(...keys)), expected[since]);
      });
    }
  }

  it('keeps what a third-party invite has signed since version 11', () => {
    const content = { membership: 'invite', third_party_invite: { display_name: 'x', signed: { token: 'y' } } };
    assert.deepEqual(redactContent('m.room.member', content, roomVersion('11')), {
      membership: 'invite',
      third_party_invite: { signed: { token: 'y' } },
    });
    assert.deepEqual(redactContent('m.room.member', content, roomVersion('10')), { membership: 'invite' });
    assert.deepEqual(redactContent('m.room.member', { third_party_invite: { a: 1 } }, roomVersion('11')), { third_party_invite: {} });
    assert.deepEqual(redactContent('m.room.member', { third_party_invite: 1 }, roomVersion('11')), {});
  });

  it('keeps nothing that is inherited', () => {
    assert.deepEqual(redactContent('constructor', { a: 1 }, roomVersion('11')), {});
    assert.deepEqual(redactContent('m.room.member', {}, roomVersion('11')), {});
  });
});
