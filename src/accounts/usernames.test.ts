import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MatrixError } from '#src/protocol/errors.ts';
import { checkLocalpart, localpartOf } from '#src/accounts/usernames.ts';

const STRICT = { mayBeNumeric: false, mayBeginWithUnderscore: false };

const refuses = (localpart: string, message: RegExp): void => {
  assert.throws(
    () => checkLocalpart(localpart, 'example.org', STRICT),
    (error) => error instanceof MatrixError && error.errcode === 'M_INVALID_USERNAME' && message.test(error.message),
    localpart,
  );
};

test('names of the specification are taken', () => {
  for (const localpart of ['alice', 'a', 'a1', '1a', 'a=b_c-d.e/f+g', '1.5', 'x'.repeat(242)]) {
    assert.doesNotThrow(() => checkLocalpart(localpart, 'example.org', STRICT), localpart);
  }
});

test('other letters are refused', () => {
  for (const localpart of ['Alice', 'al ice', 'alice:x', '@alice', 'ålice', 'a\0b', 'a\n']) refuses(localpart, /can only contain/);
});

test('empty, reserved and long names are refused', () => {
  refuses('', /cannot be empty/);
  refuses('_bridge', /may not begin with _/);
  refuses('x'.repeat(243), /may not be longer than 255/);
});

test('whatever Python reads as a number is kept for guests', () => {
  for (const localpart of ['1', '0123', '-5', '+5', '1_000']) {
    refuses(localpart, /reserved for guest users/);
    assert.doesNotThrow(() => checkLocalpart(localpart, 'example.org', { ...STRICT, mayBeNumeric: true }));
  }
});

test('an operator may allow an underscore in front', () => {
  assert.doesNotThrow(() => checkLocalpart('_bridge', 'example.org', { ...STRICT, mayBeginWithUnderscore: true }));
});

test('a user is named by localpart or by id', () => {
  assert.equal(localpartOf('alice', 'example.org'), 'alice');
  assert.equal(localpartOf('@alice:example.org', 'example.org'), 'alice');
  assert.equal(localpartOf('@alice:elsewhere.org', 'example.org'), undefined);
  assert.equal(localpartOf('@alice', 'example.org'), undefined);
});
