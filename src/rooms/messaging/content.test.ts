import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MatrixError } from '#src/protocol/errors.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { checkContent } from '#src/rooms/messaging/content.ts';

const place = { roomId: '!r', serverName: 'example.org' };

const verdict = (type: string, isState: boolean, content: JsonObject): string | undefined => {
  try {
    checkContent(type, isState, content, place);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof MatrixError);
    return `${String(error.status)} ${error.errcode}: ${error.message}`;
  }
};

test('a message needs a body and a msgtype', () => {
  assert.equal(verdict('m.room.message', false, { body: 'hi', msgtype: 'm.text' }), undefined);
  assert.equal(verdict('m.room.message', false, { body: 'hi' }), "400 M_UNKNOWN: 'msgtype' not in content");
  assert.equal(verdict('m.room.message', false, { body: 5, msgtype: 'm.text' }), "400 M_UNKNOWN: 'body' not a string type");
  assert.equal(verdict('org.example.anything', false, {}), undefined);
});

test('some types are state only, and the create event is nobody’s to change', () => {
  assert.equal(verdict('m.room.topic', false, { topic: 'x' }), "400 M_UNKNOWN: 'm.room.topic' must be state events");
  assert.equal(verdict('m.room.topic', true, { topic: 'x' }), undefined);
  assert.match(verdict('m.room.redaction', true, { redacts: '$x' }) ?? '', /must not be a state event/);
  assert.match(verdict('m.room.create', true, {}) ?? '', /^400 M_INVALID_PARAM/);
});

test('power levels are integers', () => {
  assert.equal(verdict('m.room.power_levels', true, { users: { '@a:example.org': 100 }, ban: 50 }), undefined);
  assert.equal(verdict('m.room.power_levels', true, { ban: '50' }), `400 M_BAD_JSON: "ban": "50" is not of type 'integer'`);
  assert.equal(verdict('m.room.power_levels', true, { users: [] }), `400 M_BAD_JSON: "users": [] is not of type 'object'`);
  assert.match(verdict('m.room.power_levels', true, { events: { 'm.room.name': 1.5 } }) ?? '', /M_BAD_JSON: "m.room.name": 1.5/);
  assert.match(verdict('m.room.power_levels', true, { users_default: 2 ** 53 }) ?? '', /M_BAD_JSON/);
});

test('a server does not shut itself out', () => {
  assert.equal(verdict('m.room.server_acl', true, { allow: ['*'], deny: ['evil.*'] }), undefined);
  assert.match(verdict('m.room.server_acl', true, { allow: ['*'], deny: ['*.org'] }) ?? '', /denies the local server/);
  assert.match(verdict('m.room.server_acl', true, {}) ?? '', /denies the local server/);
});

test('a tombstone points elsewhere, a retention rule is in order', () => {
  assert.match(verdict('m.room.tombstone', true, { replacement_room: '!r' }) ?? '', /cannot reference/);
  assert.match(verdict('m.room.tombstone', true, {}) ?? '', /no replacement_room/);
  assert.equal(verdict('m.room.retention', true, { min_lifetime: 1, max_lifetime: 2 }), undefined);
  assert.match(verdict('m.room.retention', true, { min_lifetime: 3, max_lifetime: 2 }) ?? '', /M_BAD_JSON/);
  assert.match(verdict('m.room.retention', true, { max_lifetime: 'long' }) ?? '', /M_BAD_JSON/);
});

test('mentions have their form in every event', () => {
  assert.equal(verdict('x', false, { 'm.mentions': { user_ids: ['@a:example.org'], room: true } }), undefined);
  assert.match(verdict('x', false, { 'm.mentions': { user_ids: '@a:example.org' } }) ?? '', /M_BAD_JSON/);
  assert.match(verdict('x', false, { 'm.mentions': { room: 'yes' } }) ?? '', /M_BAD_JSON/);
});
