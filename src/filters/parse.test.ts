import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MatrixError } from '#src/protocol/errors.ts';
import { allows, parseRoomEventFilter, parseSyncFilter } from '#src/filters/parse.ts';
import type { Filterable } from '#src/filters/parse.ts';

const MESSAGE: Filterable = { type: 'm.room.message', sender: '@a:x', roomId: '!r:x', content: { body: 'hi' } };

const passes = async (filter: object, event: Filterable = MESSAGE): Promise<boolean> =>
  allows(await parseRoomEventFilter(JSON.stringify(filter)), event);

test('an empty filter lets everything through', async () => {
  assert.ok(await passes({}));
});

test('types may hold wildcards', async () => {
  for (const types of [['m.room.message'], ['*'], ['m.*'], ['*message'], ['m.*.mess*ge'], ['m**e'], ['x', 'm.room.*']]) {
    assert.ok(await passes({ types }), types.join());
    assert.ok(!(await passes({ not_types: types })), types.join());
  }
  for (const types of [[], ['m.room'], ['m.room.*.*'], ['*messag'], ['m.room.message*message'], ['room*']]) {
    assert.ok(!(await passes({ types })), types.join());
    assert.ok(await passes({ not_types: types }), types.join());
  }
});

test('a filter of many wildcards is judged at once', async () => {
  const event = { ...MESSAGE, type: 'a'.repeat(255) };
  assert.ok(!(await passes({ types: [`${'a*'.repeat(120)}b`] }, event)));
});

test('senders, rooms and urls restrict', async () => {
  assert.ok(await passes({ senders: ['@a:x'], rooms: ['!r:x'], contains_url: false }));
  assert.ok(!(await passes({ senders: ['@b:x'] })));
  assert.ok(!(await passes({ senders: [] })));
  assert.ok(!(await passes({ senders: ['@a:x'], not_senders: ['@a:x'] })));
  assert.ok(!(await passes({ rooms: [] })));
  assert.ok(!(await passes({ not_rooms: ['!r:x'] })));
  assert.ok(!(await passes({ contains_url: true })));
  assert.ok(await passes({ contains_url: true }, { ...MESSAGE, content: { url: 'mxc://x/y' } }));
  assert.ok(!(await passes({ contains_url: true }, { ...MESSAGE, content: { url: 5 } })));
});

test('labels and relations restrict, whatever the content holds', async () => {
  const labelled = { ...MESSAGE, content: { 'org.matrix.labels': ['#fun', 5], 'm.relates_to': { rel_type: 'm.thread' } } };
  assert.ok(await passes({ 'org.matrix.labels': ['#fun'], 'org.matrix.msc3874.rel_types': ['m.thread'] }, labelled));
  assert.ok(!(await passes({ 'org.matrix.not_labels': ['#fun'] }, labelled)));
  assert.ok(!(await passes({ 'org.matrix.msc3874.not_rel_types': ['m.thread'] }, labelled)));
  const strange = { ...MESSAGE, content: { 'org.matrix.labels': '#fun', 'm.relates_to': null } };
  assert.ok(!(await passes({ 'org.matrix.labels': ['#fun'] }, strange)));
  assert.ok(!(await passes({ 'org.matrix.msc3874.rel_types': ['m.thread'] }, strange)));
});

test('a sync filter has all its parts, and its timeline a limit', async () => {
  const text = JSON.stringify({
    event_format: 'federation',
    event_fields: ['type', String.raw`content.a\.b`],
    room: { include_leave: true, not_rooms: ['!r:x'], timeline: { limit: 500 }, state: { lazy_load_members: true } },
    presence: { types: [] },
    unknown_key: 1,
  });
  const filter = await parseSyncFilter(text, 100);
  assert.equal(filter.eventFormat, 'federation');
  assert.deepEqual(filter.eventFields, ['type', String.raw`content.a\.b`]);
  assert.equal(filter.includeLeave, true);
  assert.equal(filter.timeline.limit, 100);
  assert.equal(filter.state.lazyLoadMembers, true);
  assert.ok(filter.notRooms.has('!r:x'));
  assert.ok(!allows(filter.presence, { type: 'm.presence', sender: '@a:x' }));
  assert.equal((await parseSyncFilter('{"room":{"timeline":{"limit":0}}}', 100)).timeline.limit, 0);
  assert.equal((await parseSyncFilter('{"room":{"timeline":{"limit":-3}}}', 100)).timeline.limit, 0);
  assert.equal((await parseSyncFilter('{}', 100)).timeline.limit, undefined);
});

test('what is no filter is refused', async () => {
  const errcode = (code: string) => (error: unknown) => error instanceof MatrixError && error.errcode === code;
  await assert.rejects(parseSyncFilter('{', 100), errcode('M_NOT_JSON'));
  const wrong = [
    [],
    null,
    { room: [] },
    { room: { timeline: { limit: 'x' } } },
    { presence: { senders: ['alice'] } },
    { room: { rooms: ['#a:x'] } },
    { event_format: 'x' },
    { event_fields: [String.raw`a\\.b`] },
    { room: { state: { types: 'm.*' } } },
  ];
  for (const json of wrong) await assert.rejects(parseSyncFilter(JSON.stringify(json), 100), errcode('M_BAD_JSON'), JSON.stringify(json));
  await assert.rejects(parseRoomEventFilter('{"contains_url":1}'), errcode('M_BAD_JSON'));
});
