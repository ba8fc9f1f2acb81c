import { randomBytes, randomInt } from 'node:crypto';

/** Where randomness comes from, so that a test can seed it. Outside `system*` functions nothing calls `Math.random` or `randomBytes`. */
export interface Random {
  bytes(length: number): Buffer;
  /** An integer in [0, limit). */
  below(limit: number): number;
  /** `length` letters drawn evenly from `alphabet`. */
  string(length: number, alphabet?: string): string;
}

export const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

const below = (limit: number): number => randomInt(limit);

export const systemRandom: Random = {
  bytes: (length) => randomBytes(length),
  below,
  string: (length, alphabet = LETTERS) => Array.from({ length }, () => alphabet[below(alphabet.length)]).join(''),
};
