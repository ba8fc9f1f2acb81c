import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRandom } from '#src/platform/random.ts';
import { createToken, hashToken, isWellFormed } from '#src/accounts/tokens.ts';

const LETTERS = 'abcdefghijKLMNOPQRST';

test('a token has the localpart, twenty letters and a checksum', () => {
  const token = createToken({ ...systemRandom, string: () => LETTERS }, 'syt', 'alice');
  assert.equal(token, `syt_YWxpY2U_${LETTERS}_1gMEYn`);
});

test('tokens made here are well formed, of their own kind only', () => {
  for (const localpart of ['alice', 'a', 'bob.smith=22/x', '12']) {
    const token = createToken(systemRandom, 'syr', localpart);
    assert.ok(isWellFormed('syr', token), token);
    assert.ok(!isWellFormed('syt', token), token);
  }
});

test('a mistyped or cut token is not well formed', () => {
  const token = createToken(systemRandom, 'syr', 'alice');
  const swapped = token.replace(/.(?=_[^_]*$)/, (letter) => (letter === 'a' ? 'b' : 'a'));
  for (const wrong of [swapped, token.slice(0, -1), `${token}x`, '', 'syr', 'syr_a_b', 'MDAxabc', `${token}_x`]) {
    assert.ok(!isWellFormed('syr', wrong), wrong);
  }
});

test('a token is stored as its SHA-256', () => {
  assert.equal(hashToken('abc').toString('hex'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});
