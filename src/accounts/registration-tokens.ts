import { invalidParam } from '#src/protocol/errors.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import { LETTERS } from '#src/platform/random.ts';
import type { Random } from '#src/platform/random.ts';
import { countRegistrationToken, insertRegistrationToken, readRegistrationToken } from '#src/accounts/store/registration-tokens.ts';
import type { RegistrationTokenRow } from '#src/accounts/store/registration-tokens.ts';

const TOKEN_LETTERS = `${LETTERS}0123456789._~-`;
const TOKEN_LENGTH = 16;

/** The grammar of the specification's `m.login.registration_token`. */
const isToken = (text: string): boolean => /^[A-Za-z0-9._~-]{1,64}$/.test(text);

/** Tokens that an operator hands out so that somebody may register. */
export interface RegistrationTokens {
  /** Makes a token for `usesAllowed` registrations, or for any number. */
  readonly create: (usesAllowed: number | undefined) => Promise<string>;
  readonly isValid: (token: string) => Promise<boolean>;
  /** Holds one use for a registration in progress; answers false when the token is not valid. */
  readonly reserve: (tx: Transaction, token: string) => Promise<boolean>;
  /** A held use became a registration. */
  readonly complete: (tx: Transaction, token: string) => Promise<void>;
  /** A held use came to nothing. */
  readonly release: (tx: Transaction, token: string) => Promise<void>;
}

const isUsable = (row: RegistrationTokenRow, nowMs: number): boolean => {
  if (row.expiry_time !== null && row.expiry_time < nowMs) return false;
  return row.uses_allowed === null || row.pending + row.completed < row.uses_allowed;
};

/** Registration tokens and the count of their uses. */
export const createRegistrationTokens = ({
  database,
  clock,
  random,
}: {
  database: Database;
  clock: Clock;
  random: Random;
}): RegistrationTokens => ({
  create: async (usesAllowed) => {
    if (usesAllowed !== undefined && !(Number.isSafeInteger(usesAllowed) && usesAllowed >= 0)) {
      throw invalidParam('uses_allowed must be a non-negative integer or null');
    }
    return database.write('create registration token', async (tx) => {
      const token = random.string(TOKEN_LENGTH, TOKEN_LETTERS);
      const row = { token, uses_allowed: usesAllowed ?? null, pending: 0, completed: 0, expiry_time: null };
      if (!(await insertRegistrationToken(tx, row))) throw new Error('a random registration token was taken');
      return token;
    });
  },
  isValid: async (token) => {
    if (!isToken(token)) return false;
    const row = await database.read('registration token', (reader) => readRegistrationToken(reader, token));
    return row !== undefined && isUsable(row, clock.now());
  },
  reserve: async (tx, token) => {
    if (!isToken(token)) return false;
    const row = await readRegistrationToken(tx, token);
    if (row === undefined || !isUsable(row, clock.now())) return false;
    await countRegistrationToken(tx, token, { pending: 1, completed: 0 });
    return true;
  },
  complete: (tx, token) => countRegistrationToken(tx, token, { pending: -1, completed: 1 }),
  release: (tx, token) => countRegistrationToken(tx, token, { pending: -1, completed: 0 }),
});
