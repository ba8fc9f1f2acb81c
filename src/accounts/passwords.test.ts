import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MatrixError } from '#src/protocol/errors.ts';
import { checkNewPassword } from '#src/accounts/passwords.ts';

const POLICY = {
  enabled: true,
  minimum_length: 4,
  require_digit: true,
  require_symbol: true,
  require_uppercase: true,
  require_lowercase: true,
};

const errcodeOf = (password: unknown, policy = POLICY): string | undefined => {
  try {
    checkNewPassword(password, policy);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof MatrixError);
    return error.errcode;
  }
};

test('each rule of the policy has its error', () => {
  assert.equal(errcodeOf('aB1'), 'M_PASSWORD_TOO_SHORT');
  assert.equal(errcodeOf('aBc!'), 'M_PASSWORD_NO_DIGIT');
  assert.equal(errcodeOf('aBc1'), 'M_PASSWORD_NO_SYMBOL');
  assert.equal(errcodeOf('abc1!'), 'M_PASSWORD_NO_UPPERCASE');
  assert.equal(errcodeOf('ABC1!'), 'M_PASSWORD_NO_LOWERCASE');
  assert.equal(errcodeOf('aBc1!'), undefined);
});

test('without a policy only what is no password at all is refused', () => {
  const off = { ...POLICY, enabled: false };
  assert.equal(errcodeOf('a', off), undefined);
  assert.equal(errcodeOf('x'.repeat(512), off), undefined);
  for (const wrong of ['x'.repeat(513), 5, {}, 'a\0b']) assert.equal(errcodeOf(wrong, off), 'M_UNKNOWN');
});
