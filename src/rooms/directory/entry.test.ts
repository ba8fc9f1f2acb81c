import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '#src/protocol/json.ts';
import { isForStrangers, isFound, roomEntry } from '#src/rooms/directory/entry.ts';

const state = (contents: Record<string, JsonObject>) => new Map(Object.entries(contents));

test('an entry leaves out what the room does not have, or what is of the wrong form', () => {
  assert.deepEqual(roomEntry('!a', 2, state({ 'm.room.name': { name: '' }, 'm.room.avatar': { url: 'https://x' } })), {
    room_id: '!a',
    num_joined_members: 2,
    world_readable: false,
    guest_can_join: false,
  });
  const whole = state({
    'm.room.create': { type: 'm.space' },
    'm.room.join_rules': { join_rule: 'public' },
    'm.room.history_visibility': { history_visibility: 'world_readable' },
    'm.room.guest_access': { guest_access: 'can_join' },
    'm.room.name': { name: 'Name' },
    'm.room.topic': { topic: 'Old', 'm.topic': { 'm.text': [{ mimetype: 'text/html', body: '<b>T</b>' }, { body: 'T' }] } },
    'm.room.canonical_alias': { alias: '#a:x' },
    'm.room.avatar': { url: 'mxc://x/a' },
  });
  assert.deepEqual(roomEntry('!a', 1, whole), {
    room_id: '!a',
    num_joined_members: 1,
    world_readable: true,
    guest_can_join: true,
    join_rule: 'public',
    name: 'Name',
    topic: 'T',
    canonical_alias: '#a:x',
    avatar_url: 'mxc://x/a',
    room_type: 'm.space',
  });
  const html = { topic: 'Old', 'm.topic': { 'm.text': [{ mimetype: 'text/html', body: '<b>T</b>' }] } };
  assert.equal(roomEntry('!a', 1, state({ 'm.room.topic': html })).topic, undefined);
});

test('rooms that nobody can enter or read are not for strangers', () => {
  assert.equal(isForStrangers(state({ 'm.room.join_rules': { join_rule: 'knock' } })), true);
  assert.equal(isForStrangers(state({ 'm.room.join_rules': { join_rule: 'invite' } })), false);
  assert.equal(isForStrangers(state({})), false);
  assert.equal(isForStrangers(state({ 'm.room.history_visibility': { history_visibility: 'world_readable' } })), true);
});

test('rooms are found by words and by type', () => {
  const entry = roomEntry('!a', 1, state({ 'm.room.topic': { topic: 'All of Émile' }, 'm.room.canonical_alias': { alias: '#zoo:x' } }));
  const any = { term: undefined, types: undefined };
  assert.equal(isFound(entry, any), true);
  assert.equal(isFound(entry, { ...any, term: 'ÉMILE' }), true);
  assert.equal(isFound(entry, { ...any, term: 'Zoo' }), true);
  assert.equal(isFound(entry, { ...any, term: 'zebra' }), false);
  assert.equal(isFound(entry, { ...any, types: new Set(['m.space']) }), false);
  assert.equal(isFound(entry, { term: 'zoo', types: new Set([undefined, 'm.space']) }), true);
});
