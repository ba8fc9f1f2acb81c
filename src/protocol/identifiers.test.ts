import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  createEventIdOf,
  domainOf,
  isCompliantLocalpart,
  isEventId,
  isNewLocalpart,
  isRoomAlias,
  isRoomId,
  isServerName,
  isUserId,
  parseRoomAlias,
  parseServerName,
  parseUserId,
  roomIdOfCreate,
} from '#src/protocol/identifiers.ts';

describe('server names', () => {
  for (const name of [
    'matrix.org',
    'matrix.org:8888',
    '1.2.3.4',
    '1.2.3.4:1234',
    '[1234:5678::abcd]',
    '[1234:5678::abcd]:5678',
    'localhost',
  ]) {
    it(`takes ${name}`, () => assert.equal(isServerName(name), true));
  }
  for (const name of ['', 'a b', 'a_b', 'a:', 'a:123456', 'a:b', '[::1', '::1', 'münchen.de', 'a/b', 'a\n', 'a'.repeat(256)]) {
    it(`refuses ${JSON.stringify(name).slice(0, 30)}`, () => assert.equal(isServerName(name), false));
  }
  it('are cut at the port', () => {
    assert.deepEqual(parseServerName('[::1]:8448'), { hostname: '[::1]', port: 8448 });
    assert.deepEqual(parseServerName('example.org'), { hostname: 'example.org', port: undefined });
    assert.equal(parseServerName('a b'), undefined);
  });
});

describe('user ids', () => {
  it('are cut at the first colon', () => {
    assert.deepEqual(parseUserId('@alice:example.org:8448'), { localpart: 'alice', serverName: 'example.org:8448' });
    assert.equal(domainOf('@alice:example.org:8448'), 'example.org:8448');
    assert.equal(domainOf('alice'), undefined);
  });
  it('may be historical', () => {
    for (const id of ['@:a', '@Älice B\n:a', '@\u{1f600}:a', '@A:a']) assert.equal(isUserId(id), true, id);
  });
  it('are not anything', () => {
    for (const id of [
      'alice:a',
      '@alice',
      '@alice:',
      '@al\0ice:a',
      '@\ud800:a',
      '@alice:a b',
      `@${'a'.repeat(253)}:b`,
      `@${'é'.repeat(127)}:b`,
      1,
    ]) {
      assert.equal(isUserId(id), false, String(id));
    }
    assert.equal(isUserId(`@${'a'.repeat(252)}:b`), true);
  });
  it('of new accounts are stricter', () => {
    for (const localpart of ['alice', 'a.b_c=d-e/f+1', '1']) assert.equal(isNewLocalpart(localpart), true, localpart);
    for (const localpart of ['', 'Alice', 'a b', 'é', 'a!', 'a\n']) assert.equal(isNewLocalpart(localpart), false, localpart);
    for (const localpart of ['Alice', 'a!~']) assert.equal(isCompliantLocalpart(localpart), true, localpart);
    for (const localpart of ['', 'a b', 'é', '\x7f']) assert.equal(isCompliantLocalpart(localpart), false, localpart);
  });
});

describe('rooms, aliases and events', () => {
  it('have ids that say nothing', () => {
    for (const id of ['!a:b', '!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM', '!ä b:c']) assert.equal(isRoomId(id), true, id);
    for (const id of ['!', '', 'a:b', '#a:b', '!a\0', `!${'a'.repeat(255)}`, null]) assert.equal(isRoomId(id), false, String(id));
    assert.deepEqual([isEventId('$a'), isEventId('!a'), isEventId(undefined)], [true, false, false]);
  });
  it('of version 12 have the id of their create event', () => {
    assert.equal(roomIdOfCreate('$abc'), '!abc');
    assert.equal(createEventIdOf('!abc'), '$abc');
  });
  it('have aliases with a server name', () => {
    assert.deepEqual(parseRoomAlias('#ä b:example.org'), { localpart: 'ä b', serverName: 'example.org' });
    for (const alias of ['#a', '#a:', '#a\0:b', '!a:b', `#${'a'.repeat(254)}:b`, {}]) assert.equal(isRoomAlias(alias), false);
  });
});
