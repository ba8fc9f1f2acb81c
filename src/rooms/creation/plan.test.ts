import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { createContent, initialEvents, type Plan, type RoomRequest } from '#src/rooms/creation/plan.ts';

const ALICE = '@alice:example.org';
const BOB = '@bob:example.org';

const plan = (request: RoomRequest, changes: Partial<Plan> = {}): Plan => ({
  request,
  version: roomVersion('11'),
  creator: ALICE,
  alias: undefined,
  powerLevelDefaults: undefined,
  encrypted: false,
  ...changes,
});

const types = (given: Plan): string[] => initialEvents(given).map((event) => event.type.replace('m.room.', ''));

const contentOf = (given: Plan, type: string): JsonObject | undefined =>
  initialEvents(given).findLast((event) => event.type === type && event.stateKey === '')?.content;

test('a room without wishes is private and open to guests', () => {
  assert.deepEqual(types(plan({})), ['power_levels', 'join_rules', 'history_visibility', 'guest_access']);
  assert.deepEqual(contentOf(plan({}), 'm.room.join_rules'), { join_rule: 'invite' });
  assert.deepEqual(types(plan({ visibility: 'public' })), ['power_levels', 'join_rules', 'history_visibility']);
  assert.deepEqual(contentOf(plan({ visibility: 'public' }), 'm.room.join_rules'), { join_rule: 'public' });
  assert.deepEqual(contentOf(plan({ visibility: 'public', preset: 'private_chat' }), 'm.room.join_rules'), { join_rule: 'invite' });
});

test('events come in the order of the specification', () => {
  const request: RoomRequest = { name: 'N', topic: 'T', initial_state: [{ type: 'm.room.avatar', content: { url: 'mxc://a/b' } }] };
  const expected = [
    'power_levels',
    'canonical_alias',
    'join_rules',
    'history_visibility',
    'guest_access',
    'avatar',
    'encryption',
    'name',
    'topic',
  ];
  assert.deepEqual(types(plan(request, { alias: '#a:example.org', encrypted: true })), expected);
});

test('initial state takes the place of what the preset says, the last word wins', () => {
  const request: RoomRequest = {
    initial_state: [
      { type: 'm.room.join_rules', content: { join_rule: 'knock' } },
      { type: 'org.example.x', state_key: 'k', content: { n: 1 } },
      { type: 'm.room.join_rules', state_key: '', content: { join_rule: 'public' } },
    ],
  };
  assert.deepEqual(types(plan(request)), ['power_levels', 'history_visibility', 'guest_access', 'join_rules', 'org.example.x']);
  assert.deepEqual(contentOf(plan(request), 'm.room.join_rules'), { join_rule: 'public' });
});

test('power levels of the initial state replace all others and come first', () => {
  const content = { users: { [ALICE]: 100 } };
  const request: RoomRequest = {
    initial_state: [
      { type: 'a', content: {} },
      { type: 'm.room.power_levels', content },
    ],
    power_level_content_override: { ban: 99 },
  };
  assert.equal(types(plan(request))[0], 'power_levels');
  assert.equal(types(plan(request)).filter((type) => type === 'power_levels').length, 1);
  assert.deepEqual(contentOf(plan(request), 'm.room.power_levels'), content);
});

test('power levels: preset, then configuration, then request', () => {
  const levels = (given: Plan): JsonObject => contentOf(given, 'm.room.power_levels') as JsonObject;
  assert.equal(levels(plan({})).invite, 0);
  assert.equal(levels(plan({ preset: 'public_chat' })).invite, 50);
  assert.equal((levels(plan({ preset: 'public_chat' })).events as JsonObject)['m.call.invite'], 50);
  assert.equal((levels(plan({ preset: 'public_chat' })).events as JsonObject)['m.room.name'], 50);
  const powerLevelDefaults = { invite: 10, ban: 10, events: { 'm.room.name': 5 } };
  const overridden = levels(plan({ power_level_content_override: { ban: 20 } }, { powerLevelDefaults }));
  assert.deepEqual([overridden.invite, overridden.ban, overridden.events], [10, 20, { 'm.room.name': 5 }]);
});

test('the invitees of a trusted private chat are its moderators, or from version 12 its creators', () => {
  const request: RoomRequest = {
    preset: 'trusted_private_chat',
    invite: [BOB],
    creation_content: {
      additional_creators: ['@carol:example.org', BOB],
      creator: '@mallory:example.org',
      room_version: '1',
      type: 'm.space',
    },
  };
  assert.deepEqual(contentOf(plan(request), 'm.room.power_levels')?.users, { [ALICE]: 100, [BOB]: 100 });
  const version = roomVersion('12');
  const levels = contentOf(plan(request, { version }), 'm.room.power_levels') as JsonObject;
  assert.deepEqual(levels.users, {});
  assert.equal((levels.events as JsonObject)['m.room.tombstone'], 150);
  assert.deepEqual(createContent(plan(request, { version })), {
    additional_creators: ['@carol:example.org', BOB],
    room_version: '12',
    type: 'm.space',
  });
});

test('the create event names its creator up to version 10', () => {
  assert.deepEqual(createContent(plan({}, { version: roomVersion('10') })), { creator: ALICE, room_version: '10' });
  assert.deepEqual(createContent(plan({})), { room_version: '11' });
});

test('encryption by default yields to an algorithm of the request, not to nonsense', () => {
  const withAlgorithm = (content: JsonObject): Plan =>
    plan({ initial_state: [{ type: 'm.room.encryption', content }] }, { encrypted: true });
  assert.deepEqual(contentOf(withAlgorithm({ algorithm: 'x' }), 'm.room.encryption'), { algorithm: 'x' });
  assert.deepEqual(contentOf(withAlgorithm({}), 'm.room.encryption'), { algorithm: 'm.megolm.v1.aes-sha2' });
  assert.equal(contentOf(plan({}), 'm.room.encryption'), undefined);
});
