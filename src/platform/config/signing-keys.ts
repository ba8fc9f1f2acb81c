import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { ConfigError } from '#src/platform/config/config-error.ts';
import type { Config } from '#src/platform/config/derive.ts';
import { formatKeyFile, parseBareSeed, parseKeyFile, type SigningKey } from '#src/platform/config/key-file.ts';
import { LETTERS, type Random } from '#src/platform/random.ts';

export type { SigningKey } from '#src/platform/config/key-file.ts';

type KeyConfig = Pick<Config, 'signing_key' | 'signing_key_path'>;

/** A key that this server no longer signs with. */
export interface OldSigningKey {
  readonly keyId: string;
  /** The 32 bytes of the public key. */
  readonly publicKey: Uint8Array;
  /** When it was last used, in milliseconds since 1970. */
  readonly expiredTs: number;
}

/**
 * The server's signing keys: from `signing_key`, else from the file. The first signs events and requests, all of them sign the published keys.
 * @throws ConfigError when there is no file, or something else in it.
 */
export const readSigningKeys = (config: KeyConfig): readonly SigningKey[] => {
  if (config.signing_key !== undefined) return parseKeyFile(config.signing_key);
  const path = config.signing_key_path;
  if (!existsSync(path)) {
    throw new ConfigError([
      `signing_key_path: there is no file ${path}; copy the key of this server there, or make one for a new server with --generate-keys`,
    ]);
  }
  try {
    return parseKeyFile(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ConfigError([`signing_key_path: ${path}: ${(error as Error).message}`]);
  }
};

/** The retired keys of `old_signing_keys`, to be published beside the present ones. */
export const oldSigningKeys = (config: Pick<Config, 'old_signing_keys'>): readonly OldSigningKey[] =>
  Object.entries(config.old_signing_keys).map(([keyId, { key, expired_ts: expiredTs }]) => ({
    keyId,
    publicKey: new Uint8Array(Buffer.from(key, 'base64')),
    expiredTs,
  }));

/** A new key, with a version such as `a_AbCd`. */
export const generateSigningKey = (random: Random): SigningKey => {
  const version = `a_${random.string(4, LETTERS)}`;
  return { version, keyId: `ed25519:${version}`, seed: new Uint8Array(random.bytes(32)) };
};

/**
 * Makes the signing key file if there is none, and gives a file from before Synapse 0.4 today's form.
 * @returns what was done, or `undefined` when there was nothing to do.
 */
export const ensureSigningKeyFile = (config: KeyConfig, random: Random): 'created' | 'upgraded' | undefined => {
  const path = config.signing_key_path;
  if (config.signing_key !== undefined) return undefined;
  const write = (key: SigningKey, flag: 'wx' | 'w'): void => writeFileSync(path, formatKeyFile([key]), { mode: 0o600, flag });
  if (!existsSync(path)) {
    mkdirSync(dirname(path), { recursive: true });
    write(generateSigningKey(random), 'wx');
    return 'created';
  }
  const seed = parseBareSeed(readFileSync(path, 'utf8'));
  if (seed === undefined) return undefined;
  write({ ...generateSigningKey(random), seed }, 'w');
  return 'upgraded';
};
