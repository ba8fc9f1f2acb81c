import type { Config } from '#src/platform/config/index.ts';
import { MatrixError, unknown } from '#src/protocol/errors.ts';

const MAX_PASSWORD_LENGTH = 512;

/** Refuses a new password that is too long, or that the server's policy (`password_config.policy`) does not allow. */
export const checkNewPassword = (password: unknown, policy: Config['password_config']['policy']): string => {
  if (typeof password !== 'string' || password.length > MAX_PASSWORD_LENGTH || password.includes('\0')) throw unknown('Invalid password');
  if (!policy.enabled) return password;
  const refuse = (errcode: string, message: string): never => {
    throw new MatrixError(400, errcode, message);
  };
  if (password.length < policy.minimum_length) {
    refuse('M_PASSWORD_TOO_SHORT', `The password must be at least ${String(policy.minimum_length)} characters long`);
  }
  if (policy.require_digit && !/\p{Nd}/u.test(password)) refuse('M_PASSWORD_NO_DIGIT', 'The password must include at least one digit');
  if (policy.require_symbol && !/[^A-Za-z0-9]/.test(password)) {
    refuse('M_PASSWORD_NO_SYMBOL', 'The password must include at least one symbol');
  }
  if (policy.require_uppercase && !/\p{Lu}/u.test(password)) {
    refuse('M_PASSWORD_NO_UPPERCASE', 'The password must include at least one uppercase letter');
  }
  if (policy.require_lowercase && !/\p{Ll}/u.test(password)) {
    refuse('M_PASSWORD_NO_LOWERCASE', 'The password must include at least one lowercase letter');
  }
  return password;
};
