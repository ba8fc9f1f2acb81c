import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeBase64, encodeBase64, encodeUrlSafeBase64 } from '#src/protocol/base64.ts';

describe('Base64', () => {
  for (const [text, encoded] of Object.entries({
    '': '',
    f: 'Zg',
    fo: 'Zm8',
    foo: 'Zm9v',
    foob: 'Zm9vYg',
    fooba: 'Zm9vYmE',
    foobar: 'Zm9vYmFy',
  })) {
    it(`encodes the specification's example "${text}"`, () => {
      assert.equal(encodeBase64(Buffer.from(text)), encoded);
      assert.equal(decodeBase64(encoded)?.toString(), text);
    });
  }
  it('has two alphabets and reads both, padded or not', () => {
    const bytes = Buffer.from([0xfb, 0xff]);
    assert.equal(encodeBase64(bytes), '+/8');
    assert.equal(encodeUrlSafeBase64(bytes), '-_8');
    for (const text of ['+/8', '+/8=', '-_8', '-_8=']) assert.deepEqual(decodeBase64(text), bytes);
  });
  it('refuses what is none', () => {
    for (const text of ['a', 'ab c', 'ab\n', 'a=b', 'ab===', 'é']) assert.equal(decodeBase64(text), undefined, text);
  });
});
