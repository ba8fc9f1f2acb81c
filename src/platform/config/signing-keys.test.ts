import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { formatKeyFile, parseKeyFile } from '#src/platform/config/key-file.ts';
import { ensureSigningKeyFile, generateSigningKey, oldSigningKeys, readSigningKeys } from '#src/platform/config/signing-keys.ts';
import { systemRandom } from '#src/platform/random.ts';

const SEED = 'YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA0';

let folder: string;
let path: string;
// In a suite, so that the hooks belong to these tests alone when all files run in one process.
describe('signing keys', () => {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'myelin-keys-'));
    path = join(folder, 'below', 'signing.key');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const at = (signing_key_path: string, signing_key?: string) => ({ signing_key_path, signing_key });

  test('several keys, blank lines, padding', () => {
    const keys = parseKeyFile(`\ned25519 a_AbCd ${SEED}\n\n  ed25519 1 ${SEED}=  \n`);
    assert.deepEqual(
      keys.map(({ keyId, version }) => [keyId, version]),
      [
        ['ed25519:a_AbCd', 'a_AbCd'],
        ['ed25519:1', '1'],
      ],
    );
    assert.equal(Buffer.from(keys[0]?.seed ?? []).toString('base64'), `${SEED}=`);
  });

  test('what is no key file is refused without showing it', () => {
    for (const text of [
      '',
      '\n',
      `rsa a_AbCd ${SEED}`,
      `ed25519 ${SEED}`,
      `ed25519 a b ${SEED}`,
      'ed25519 a_AbCd short',
      `ed25519 a_AbCd ${SEED}\nnonsense`,
    ]) {
      assert.throws(
        () => parseKeyFile(text),
        (error: Error) => !error.message.includes(SEED),
      );
    }
  });

  test('keys survive being written and read', () => {
    const versions = fc.stringMatching(/^\w{1,8}$/u);
    const keys = fc.array(fc.record({ version: versions, seed: fc.uint8Array({ minLength: 32, maxLength: 32 }) }), {
      minLength: 1,
      maxLength: 3,
    });
    fc.assert(
      fc.property(keys, (written) => {
        const read = parseKeyFile(formatKeyFile(written));
        assert.deepEqual(
          read.map(({ version, seed }) => ({ version, seed: [...seed] })),
          written.map(({ version, seed }) => ({ version, seed: [...seed] })),
        );
      }),
    );
  });

  test('a missing key file is made once, for its owner alone', () => {
    assert.equal(ensureSigningKeyFile(at(path), systemRandom), 'created');
    const text = readFileSync(path, 'utf8');
    assert.match(text, /^ed25519 a_[A-Za-z]{4} [A-Za-z0-9+/]{43}\n$/u);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(ensureSigningKeyFile(at(path), systemRandom), undefined);
    assert.equal(readFileSync(path, 'utf8'), text);
    assert.equal(readSigningKeys(at(path)).length, 1);
  });

  test('a file with a bare seed gets today’s form and keeps the seed', () => {
    const old = join(folder, 'old.key');
    writeFileSync(old, `${SEED}\n`);
    assert.equal(ensureSigningKeyFile(at(old), systemRandom), 'upgraded');
    assert.match(readFileSync(old, 'utf8'), /^ed25519 a_[A-Za-z]{4} YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW\+3XA0\n$/u);
  });

  test('an inline key needs no file; a missing or wrong file is a fault with the way out', () => {
    assert.equal(readSigningKeys(at(path, `ed25519 a_AbCd ${SEED}`))[0]?.keyId, 'ed25519:a_AbCd');
    assert.throws(() => readSigningKeys(at(path)), /signing_key_path: there is no file .*signing\.key; .*--generate-keys/u);
    const wrong = join(folder, 'wrong.key');
    writeFileSync(wrong, 'ed25519 what\n');
    assert.throws(() => readSigningKeys(at(wrong)), /signing_key_path: .*wrong\.key: key 1 is not written as/u);
  });

  test('new keys differ, and old ones are published with their end', () => {
    assert.notDeepEqual(generateSigningKey(systemRandom).seed, generateSigningKey(systemRandom).seed);
    const [old] = oldSigningKeys({ old_signing_keys: { 'ed25519:a_Old': { key: SEED, expired_ts: 1234 } } });
    assert.deepEqual([old?.keyId, old?.publicKey.length, old?.expiredTs], ['ed25519:a_Old', 32, 1234]);
  });
});
