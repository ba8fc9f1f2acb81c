import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isKeyValidAt, keyValidUntil, signedAt } from '#src/protocol/key-validity.ts';
import type { JsonNumber } from '#src/protocol/json.ts';
import { ROOM_VERSIONS, roomVersion, type RoomVersion } from '#src/protocol/room-versions.ts';

const DAY_MS = 86_400_000;
const NOW = 1_700_000_000_000;

const isGood = (ts: JsonNumber, version: RoomVersion): boolean => isKeyValidAt(NOW, signedAt({ origin_server_ts: ts }, version));

describe('the validity of keys', () => {
  it('ends when the server says, but seven days after the key was fetched at the latest', () => {
    assert.equal(keyValidUntil(NOW + DAY_MS, NOW), NOW + DAY_MS);
    assert.equal(keyValidUntil(NOW + 7 * DAY_MS, NOW), NOW + 7 * DAY_MS);
    assert.equal(keyValidUntil(NOW + 7 * DAY_MS + 1, NOW), NOW + 7 * DAY_MS);
    assert.equal(keyValidUntil(Number.MAX_SAFE_INTEGER, NOW), NOW + 7 * DAY_MS);
    // A key that has expired stays expired, however often it is fetched.
    assert.equal(keyValidUntil(NOW - 400 * DAY_MS, NOW), NOW - 400 * DAY_MS);
  });

  for (const version of ROOM_VERSIONS.values()) {
    const isStrict = !['1', '2', '3', '4'].includes(version.id);
    it(`version ${version.id}: ${isStrict ? 'takes a key for events of its time only' : 'takes any key that the server has had'}`, () => {
      assert.equal(isGood(NOW, version), true);
      assert.equal(isGood(NOW - 400 * DAY_MS, version), true);
      assert.equal(isGood(NOW + 1, version), !isStrict);
    });
  }

  it('compares times beyond what JavaScript counts', () => {
    const late = JSON.rawJSON('9223372036854775807');
    assert.deepEqual(
      ['4', '5'].map((id) => isGood(late, roomVersion(id))),
      [true, false],
    );
  });
});
