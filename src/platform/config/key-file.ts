const LINE = /^ed25519\s+(?<version>[A-Za-z0-9_]+)\s+(?<seed>[A-Za-z0-9+/]{43}=?)$/u;

/** One signing key of this server. */
export interface SigningKey {
  /** `a_AbCd` */
  readonly version: string;
  /** `ed25519:a_AbCd` */
  readonly keyId: string;
  /** The 32 bytes that the private key is made from. */
  readonly seed: Uint8Array;
}

const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

const parseLine = (line: string): SigningKey | undefined => {
  const { version, seed } = LINE.exec(line)?.groups ?? {};
  if (version === undefined || seed === undefined) return undefined;
  return { version, keyId: `ed25519:${version}`, seed: new Uint8Array(Buffer.from(seed, 'base64')) };
};

/** Whether a text is a key file, with at least one key and nothing else. */
export const isSigningKeyText = (text: string): boolean =>
  lines(text).length > 0 && lines(text).every((line) => parseLine(line) !== undefined);

/**
 * Reads the text of a key file: `ed25519 <version> <seed in unpadded base64>` on each line, as Synapse writes it.
 * @throws Error that names the line, and never shows it.
 */
export const parseKeyFile = (text: string): readonly SigningKey[] => {
  const keys = lines(text).map((line, index) => {
    const parsed = parseLine(line);
    if (parsed === undefined) throw new Error(`key ${String(index + 1)} is not written as "ed25519 <version> <32 bytes in base64>"`);
    return parsed;
  });
  if (keys.length === 0) throw new Error('there is no key in it');
  return keys;
};

/** Writes keys as `parseKeyFile` reads them. */
export const formatKeyFile = (keys: readonly Pick<SigningKey, 'version' | 'seed'>[]): string =>
  keys.map(({ version, seed }) => `ed25519 ${version} ${Buffer.from(seed).toString('base64').replaceAll('=', '')}\n`).join('');

/** A seed alone, as files from before Synapse 0.4 hold it. */
export const parseBareSeed = (text: string): Uint8Array | undefined => {
  const bare = text.trim();
  return /^[A-Za-z0-9+/]{43}=?$/u.test(bare) ? new Uint8Array(Buffer.from(bare, 'base64')) : undefined;
};
