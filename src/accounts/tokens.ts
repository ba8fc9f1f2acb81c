import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Random } from '#src/platform/random.ts';

/** What begins a token: of access, or for refreshing. */
export type TokenKind = 'syt' | 'syr';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

const base62 = (value: number, width: number): string => {
  let digits = '';
  for (let rest = value; rest > 0; rest = Math.floor(rest / 62)) digits = (BASE62[rest % 62] ?? '') + digits;
  return digits.padStart(width, '0');
};

const checksum = (text: string): string => base62(crc32(text), 6);

/**
 * A new token in Synapse's format, `syt_<localpart>_<20 letters>_<checksum>`: secret scanners know its prefix, and the
 * checksum refuses a mistyped one without asking the database.
 */
export const createToken = (random: Random, kind: TokenKind, localpart: string): string => {
  const owner = Buffer.from(localpart).toString('base64').replaceAll('=', '');
  const body = `${kind}_${owner}_${random.string(20)}`;
  return `${body}_${checksum(body)}`;
};

/** A new token to log in with once: `syl_<20 letters>_<checksum>`. It does not tell whose it is. */
export const createLoginToken = (random: Random): string => {
  const body = `syl_${random.string(20)}`;
  return `${body}_${checksum(body)}`;
};

/** Whether a token has the shape of its kind and the right checksum. */
export const isWellFormed = (kind: TokenKind, token: string): boolean => {
  const parts = token.split('_');
  const end = token.lastIndexOf('_');
  return parts.length === 4 && parts[0] === kind && parts[3] === checksum(token.slice(0, end));
};

/** What the database knows a token by: its SHA-256. */
export const hashToken = (token: string): Buffer => hash('sha256', token, 'buffer');

/** The same in text, as a key for caches: a third of the time. */
export const tokenKey = (token: string): string => hash('sha256', token, 'base64');
