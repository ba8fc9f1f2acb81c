import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { signingKeyFromSeed, verifyText } from '#src/protocol/signatures.ts';
import { isXMatrix, parseXMatrix, requestText, xMatrixHeader } from '#src/protocol/x-matrix.ts';

const key = signingKeyFromSeed('ed25519:1', Buffer.alloc(32, 1));

test('what is signed is the canonical JSON of the request (server-server API, Request Authentication)', () => {
  const request = { method: 'GET', uri: '/target', origin: 'origin.hs.example.com', destination: 'destination.hs.example.com' };
  assert.equal(
    requestText(request),
    '{"destination":"destination.hs.example.com","method":"GET","origin":"origin.hs.example.com","uri":"/target"}',
  );
  assert.equal(
    requestText({ ...request, content: { b: 1, a: JSON.rawJSON('1.0') } }),
    '{"content":{"a":1.0,"b":1},"destination":"destination.hs.example.com","method":"GET","origin":"origin.hs.example.com","uri":"/target"}',
  );
});

test('a header is read as it was written, and its signature fits the request and no other', () => {
  fc.assert(
    fc.property(fc.webPath(), fc.dictionary(fc.string(), fc.integer()), (uri, content) => {
      const request = { method: 'PUT', uri, origin: 'a.test', destination: 'b.test:8448', content };
      const parsed = parseXMatrix(xMatrixHeader(request, key));
      assert.ok(parsed);
      const { origin, destination, key: keyId, signature } = parsed;
      assert.deepEqual({ origin, destination, keyId }, { origin: 'a.test', destination: 'b.test:8448', keyId: 'ed25519:1' });
      assert.ok(verifyText(requestText(request), signature, key));
      for (const other of [
        { ...request, uri: `${uri}x` },
        { ...request, destination: 'c.test' },
        { ...request, method: 'POST' },
      ]) {
        assert.ok(!verifyText(requestText(other), signature, key));
      }
    }),
  );
});

const GOOD = { origin: 'foo.com', destination: 'bar.com', key: 'ed25519:1', signature: 'ABC/+' };

for (const [what, header] of [
  ['with everything in quotes', 'X-Matrix origin="foo.com",destination="bar.com",key="ed25519:1",sig="ABC/+"'],
  ['as old servers write it, without quotes', 'X-Matrix origin=foo.com,destination=bar.com,key="ed25519:1",sig="ABC/+"'],
  ['with a colon outside of quotes', 'X-Matrix origin=foo.com,destination=bar.com,key=ed25519:1,sig=ABC/+'],
  ['with space around commas', 'X-Matrix origin="foo.com" ,  destination="bar.com",\tkey="ed25519:1", sig="ABC/+"'],
  ['in other letters', 'x-matrix ORIGIN="foo.com",Destination="bar.com",KEY="ed25519:1",sIg="ABC/+"'],
  ['with escapes', String.raw`X-Matrix origin="f\oo.com",destination="bar.com",key="ed25519:1",sig="ABC\/+"`],
  ['with parameters that nobody knows', 'X-Matrix origin="foo.com",new="a,b=c",destination="bar.com",key="ed25519:1",sig="ABC/+"'],
] as const) {
  test(`a header ${what}`, () => assert.deepEqual(parseXMatrix(header), GOOD));
}

test('a header without a destination', () => {
  assert.deepEqual(parseXMatrix('X-Matrix origin=foo.com,key="ed25519:1",sig="ABC/+"'), { ...GOOD, destination: undefined });
});

for (const header of [
  '',
  'Bearer abc',
  'X-Matrix',
  'X-Matrix ',
  'X-Matrix origin="foo.com"',
  'X-Matrix key="ed25519:1",sig="ABC"',
  'X-Matrix origin="foo com",key="ed25519:1",sig="ABC"',
  'X-Matrix origin="foo.com",key="ed25519:1",sig="ABC',
  'X-Matrix origin="foo.com" key="ed25519:1" sig="ABC"',
  'X-Matrix origin="foo.com/path",key="ed25519:1",sig="ABC"',
]) {
  test(`no header: ${header}`, () => assert.equal(parseXMatrix(header), undefined));
}

test('only headers of this kind are taken for such', () => {
  assert.deepEqual(
    ['X-Matrix a=b', 'x-matrix\ta=b', 'Bearer X-Matrix', 'X-Matrixx a=b'].map((header) => isXMatrix(header)),
    [true, true, false, false],
  );
});
