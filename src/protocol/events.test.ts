import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NewPdu } from '#src/protocol/events.ts';
import { syncEvent } from '#src/protocol/client-event.ts';
import { buildPdu, parsePdu, parseStoredPdu, prevEventIds, redactedCopy, referencesTo } from '#src/protocol/events.ts';
import { checkContentHash, contentHash, eventId, referenceHash } from '#src/protocol/hashes.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { clampedInteger, exactInteger, parseLosslessJson } from '#src/protocol/json.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import {
  requiredSigners,
  signEvent,
  signingKeyFromSeed,
  signJson,
  verifyEventSignature,
  verifyJson,
  verifyKeyFromBase64,
  verifySignedText,
} from '#src/protocol/signatures.ts';

/** The seed of the specification's cryptographic test vectors (appendices). */
const key = signingKeyFromSeed('ed25519:1', Buffer.from('YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1', 'base64'));
const lookup = (keyId: string) => (keyId === key.keyId ? key : undefined);
const v10 = roomVersion('10');
const v11 = roomVersion('11');
const v12 = roomVersion('12');

describe('signing JSON', () => {
  const vectors: [object: JsonObject, signature: string][] = [
    [{}, 'K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ'],
    [{ one: 1, two: 'Two' }, 'KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw'],
  ];
  for (const [object, signature] of vectors) {
    it(`gives the specification's signature of ${JSON.stringify(object)}`, () => {
      const signed = signJson(object, 'domain', key);
      assert.deepEqual(signed, { ...object, signatures: { domain: { 'ed25519:1': signature } } });
      assert.equal(verifyJson({ ...signed, unsigned: { age: 1 } }, 'domain', lookup), 'valid');
    });
  }

  it('adds to signatures that are there', () => {
    const twice = signJson<JsonObject>(signJson<JsonObject>({ a: 1 }, 'one', key), 'two', { ...key, keyId: 'ed25519:2' });
    assert.deepEqual(Object.keys(twice.signatures as unknown as object), ['one', 'two']);
    assert.equal(verifyJson(twice, 'one', lookup), 'valid');
    assert.equal(verifyJson(twice, 'two', lookup), 'unknown-key');
    assert.equal(verifyJson(twice, 'three', lookup), 'missing');
  });

  it('finds a changed object invalid', () => {
    assert.equal(verifyJson({ ...signJson({ a: 1 }, 'one', key), a: 2 }, 'one', lookup), 'invalid');
  });

  it('requires every signature whose key is known to fit', () => {
    const signed = signJson<JsonObject>({ a: 1 }, 'one', key);
    const other = { ...(signed.signatures as unknown as Record<string, Record<string, string>>).one, 'ed25519:2': 'AAAA' };
    assert.equal(verifyJson({ ...signed, signatures: { one: other } }, 'one', lookup), 'valid');
    assert.equal(
      verifyJson({ ...signed, signatures: { one: other } }, 'one', () => key),
      'invalid',
    );
  });

  it("does not count the policy server's key or other algorithms", () => {
    assert.equal(
      verifySignedText('{}', { one: { 'ed25519:policy_server': 'x', 'rsa:1': 'x' } }, 'one', () => key),
      'missing',
    );
  });

  it('reads public keys in either alphabet and refuses others', () => {
    assert.equal(key.publicKey, 'XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI');
    assert.equal(
      verifyJson(signJson({}, 'a', key), 'a', () => verifyKeyFromBase64('ed25519:1', `${key.publicKey}=`)),
      'valid',
    );
    assert.equal(verifyKeyFromBase64('ed25519:1', 'AAAA'), undefined);
    assert.equal(verifyKeyFromBase64('rsa:1', key.publicKey), undefined);
  });
});

describe('signing events', () => {
  const minimal = {
    room_id: '!x:domain',
    sender: '@a:domain',
    origin: 'domain',
    origin_server_ts: 1_000_000,
    type: 'X',
    content: {},
    prev_events: [],
    auth_events: [],
    depth: 3,
    signatures: {},
    hashes: {},
    unsigned: { age_ts: 1_000_000 },
  };
  const redactable = {
    content: { body: 'Here is the message content' },
    event_id: '$0:domain',
    origin: 'domain',
    origin_server_ts: 1_000_000,
    type: 'm.room.message',
    room_id: '!r:domain',
    sender: '@u:domain',
    signatures: {},
    unsigned: { age_ts: 1_000_000 },
  };
  const vectors: [event: typeof minimal | typeof redactable, hash: string, signature: string][] = [
    [
      minimal,
      '5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos',
      'KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg',
    ],
    [
      redactable,
      'onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g',
      'Wm+VzmOUOz08Ds+0NTWb1d4CZrVsJSikkeRxh6aCcUwu6pNC78FunoD7KNWzqFn241eYHYMGCA5McEiVPdhzBA',
    ],
  ];
  for (const [event, sha256, signature] of vectors) {
    it(`gives the specification's hash and signature of an event of type ${event.type}`, () => {
      assert.equal(contentHash(event, v10), sha256);
      // These vectors are redacted as before version 11.
      const signed = signEvent({ ...event, hashes: { sha256 } }, 'domain', key, v10);
      assert.deepEqual(signed.signatures, { domain: { 'ed25519:1': signature } });
      assert.equal(verifyEventSignature(signed, 'domain', lookup, v10), 'valid');
      assert.equal(verifyEventSignature({ ...signed, depth: 4 }, 'domain', lookup, v10), 'invalid');
    });
  }

  it("requires the sender's server, and the authoriser's for a restricted join", () => {
    const join = { type: 'm.room.member', sender: '@a:one', content: { membership: 'join', join_authorised_via_users_server: '@b:two' } };
    assert.deepEqual(requiredSigners(join, v11), ['one', 'two']);
    assert.deepEqual(requiredSigners(join, roomVersion('7')), ['one']);
    assert.deepEqual(requiredSigners({ type: 'm.room.message', sender: '@a:one:8448', content: {} }, v11), ['one:8448']);
    const invite = { type: 'm.room.member', sender: '@a:one', content: { membership: 'invite', third_party_invite: {} } };
    assert.deepEqual(requiredSigners(invite, v11), []);
  });

  it('asks the authoriser for joins alone', () => {
    const content = { membership: 'leave', join_authorised_via_users_server: '@b:two' };
    assert.deepEqual(requiredSigners({ type: 'm.room.member', sender: '@a:one', content }, v11), ['one']);
  });

  it("requires the server of the event's id in versions 1 and 2", () => {
    const event = { type: 'm.room.message', sender: '@a:one', content: {}, event_id: '$x:three' };
    for (const id of ['1', '2']) assert.deepEqual(requiredSigners(event, roomVersion(id)), ['one', 'three']);
    assert.deepEqual(requiredSigners(event, roomVersion('3')), ['one']);
    const invite = {
      type: 'm.room.member',
      sender: '@a:one',
      content: { membership: 'invite', third_party_invite: {} },
      event_id: '$x:three',
    };
    assert.deepEqual(requiredSigners(invite, roomVersion('1')), ['three']);
  });
});

const message: NewPdu = {
  roomVersion: v11,
  roomId: '!r:domain',
  type: 'm.room.message',
  sender: '@u:domain',
  content: { msgtype: 'm.text', body: 'Hello \u{1f600}' },
  originServerTs: 1_700_000_000_000,
  prevEvents: ['$prev'],
  authEvents: ['$create', '$power', '$member'],
  depth: 12,
  serverName: 'domain',
  signingKey: key,
};

describe('what is unsigned', () => {
  it('may hold numbers that the event may not', () => {
    const { json } = buildPdu(message);
    const withAge = (text: string, value: string): string => text.replace(/\}$/, `,"unsigned":{"age":${value}}}`);
    for (const value of ['1.5', '1.0', '1e3', '9007199254740993']) assert.equal(parsePdu(withAge(json, value), v11).json, json);
    assert.throws(() => parsePdu(json.replace('"depth":12', '"depth":12.0'), v11), { errcode: 'M_BAD_JSON' });
    assert.throws(() => parsePdu(json.replace('"msgtype"', '"x":1e2,"msgtype"'), v11), { errcode: 'M_BAD_JSON' });
  });
});

describe('building an event', () => {
  it('makes one that parses to itself with a valid hash, signature and id', () => {
    const built = buildPdu(message);
    const parsed = parsePdu(built.json, v11);
    assert.equal(parsed.eventId, built.eventId);
    assert.match(built.eventId, /^\$[A-Za-z0-9_-]{43}$/);
    assert.equal(eventId(built.pdu, v11), built.eventId);
    assert.equal(parsed.json, built.json);
    assert.deepEqual(parsed.pdu, built.pdu);
    assert.equal(parsed.roomId, '!r:domain');
    assert.equal(parsed.contentHashMatches, true);
    assert.equal(checkContentHash(parsed.pdu, v11), true);
    assert.equal(verifySignedText(parsed.signedText, parsed.pdu.signatures, 'domain', lookup), 'valid');
    assert.equal(verifyEventSignature(built.pdu, 'domain', lookup, v11), 'valid');
  });

  it('makes the room id of version 12 from the create event', () => {
    const create = buildPdu({
      ...message,
      roomVersion: v12,
      type: 'm.room.create',
      stateKey: '',
      content: { room_version: '12' },
    });
    assert.equal(create.roomId, `!${create.eventId.slice(1)}`);
    assert.equal('room_id' in create.pdu, false);
    assert.equal(parsePdu(create.json, v12).roomId, create.roomId);
    assert.throws(() => parsePdu(create.json, v11), /room_id: missing/);
  });

  it('puts redacts where the version wants it', () => {
    const redaction = { ...message, type: 'm.room.redaction', content: {}, redacts: '$x' };
    assert.equal(buildPdu({ ...redaction, roomVersion: v10 }).pdu.redacts, '$x');
    const modern = buildPdu(redaction).pdu;
    assert.deepEqual([modern.redacts, modern.content], [undefined, { redacts: '$x' }]);
  });

  it('refuses what is too large', () => {
    assert.throws(() => buildPdu({ ...message, content: { body: 'x'.repeat(65_536) } }), { status: 413, errcode: 'M_TOO_LARGE' });
    assert.throws(() => buildPdu({ ...message, stateKey: 'é'.repeat(128) }), /^MatrixError: state_key: longer than 255 bytes/);
    assert.equal(buildPdu({ ...message, stateKey: 'é'.repeat(127) }).pdu.state_key?.length, 127);
  });

  it('asks for leave before it signs', () => {
    const authorise = (pdu: object): void => assert.fail(Object.keys(pdu).join());
    assert.throws(() => buildPdu({ ...message, authorise }), {
      message: 'auth_events,content,depth,origin_server_ts,prev_events,room_id,sender,type',
    });
  });

  it('fills the size limit to the byte', () => {
    const overhead = buildPdu({ ...message, content: { body: '' } }).json.length;
    assert.equal(buildPdu({ ...message, content: { body: 'x'.repeat(65_536 - overhead) } }).json.length, 65_536);
    assert.throws(() => buildPdu({ ...message, content: { body: 'x'.repeat(65_537 - overhead) } }), { errcode: 'M_TOO_LARGE' });
  });

  it('refuses content without canonical JSON, with the path', () => {
    assert.throws(() => buildPdu({ ...message, content: { a: [0.1] } }), /content\.a\[0\]: 0\.1 is not an integer/);
  });
});

describe('parsing an event', () => {
  const { pdu } = buildPdu(message);

  it('drops unsigned and keeps unknown keys', () => {
    const parsed = parsePdu({ ...pdu, unsigned: { age: 1 }, 'org.example': 1 }, v11);
    assert.equal('unsigned' in parsed.pdu, false);
    assert.match(parsed.json, /"org\.example":1/);
    assert.equal(parsed.contentHashMatches, false);
  });

  it('sees changed content and falls back to the redacted copy under the same id', () => {
    const parsed = parsePdu({ ...pdu, content: { body: 'other' } }, v11);
    assert.equal(parsed.contentHashMatches, false);
    const copy = redactedCopy(parsed, v11);
    assert.deepEqual(copy.pdu.content, {});
    assert.equal(copy.eventId, parsed.eventId);
    assert.equal(parsePdu(copy.json, v11).eventId, parsed.eventId);
    assert.equal(verifyEventSignature(copy.pdu, 'domain', lookup, v11), 'valid');
  });

  const faults: [key: string, value: unknown][] = [
    ['type', 1],
    ['sender', 'u'],
    ['sender', '@u'],
    ['room_id', 'r'],
    ['room_id', undefined],
    ['state_key', null],
    ['content', []],
    ['origin_server_ts', '1'],
    ['origin_server_ts', 1.5],
    ['depth', -1],
    ['depth', 2 ** 53],
    ['prev_events', Array.from({ length: 21 }, () => '$x')],
    ['prev_events', [['$x', {}]]],
    ['auth_events', Array.from({ length: 11 }, () => '$x')],
    ['hashes', {}],
    ['signatures', { domain: 'x' }],
    ['unsigned', 1],
    ['type', 'é'.repeat(128)],
  ];
  for (const [key, value] of faults) {
    it(`refuses ${key} = ${JSON.stringify(value)?.slice(0, 20)}`, () => {
      const { [key]: _, ...rest } = pdu as unknown as Record<string, unknown>;
      const event = (value === undefined ? rest : { ...rest, [key]: value }) as JsonObject;
      assert.throws(
        () => parsePdu(event, v11),
        (error: { errcode: string; message: string }) => {
          assert.equal(error.errcode, 'M_BAD_JSON');
          assert.ok(error.message.startsWith(key), error.message);
          return true;
        },
      );
    });
  }

  it('keeps, as rejected, an event of up to 255 code points and more bytes before version 11', () => {
    const long = { ...pdu, state_key: 'é'.repeat(200) };
    assert.equal(parsePdu(long, v10).rejection, 'state_key: longer than 255 bytes');
    assert.throws(() => parsePdu(long, v11), /state_key/);
    assert.throws(() => parsePdu({ ...pdu, state_key: 'é'.repeat(256) }, v10), /state_key/);
    assert.equal(parsePdu(pdu, v10).rejection, undefined);
  });

  it('refuses a number written as a float', () => {
    assert.throws(() => parsePdu(JSON.stringify(pdu).replace('"depth":12', '"depth":12.0'), v11), { errcode: 'M_BAD_JSON' });
  });
});

describe('versions 1 to 5', () => {
  const versions = ['1', '2', '3', '4', '5'].map((id) => roomVersion(id));
  const built = (version: RoomVersion, content: JsonObject = { body: 'x' }, fields: Partial<NewPdu> = {}) =>
    buildPdu({
      ...message,
      roomVersion: version,
      content,
      eventId: version.eventIds === 'given' ? '$unique:domain' : undefined,
      prevEvents: [],
      authEvents: [],
      ...fields,
    });

  it('have ids that are given, or hashes in the standard or the URL-safe alphabet', () => {
    const ids = versions.map((version) => built(version).eventId);
    assert.deepEqual(ids.slice(0, 2), ['$unique:domain', '$unique:domain']);
    // Only the alphabet differs between versions 3 and 4.
    assert.equal(ids[2]?.replaceAll('+', '-').replaceAll('/', '_'), ids[3]);
    assert.equal(ids[3], ids[4]);
  });

  it('cite events of versions 1 and 2 by id and reference hash', () => {
    for (const version of versions) {
      const first = built(version);
      const next = built(version, {}, { prevEvents: referencesTo([first], version) });
      const { prev_events: written } = parsePdu(next.json, version).pdu;
      const hash = referenceHash(first.pdu, version);
      assert.deepEqual(written, version.references === 'pairs' ? [[first.eventId, { sha256: hash }]] : [first.eventId]);
      assert.deepEqual(prevEventIds(next.pdu), [first.eventId]);
      assert.equal(referenceHash(redactedCopy(first, version).pdu, version), hash);
    }
  });

  it('refuse references and ids of another form', () => {
    const pairs = built(roomVersion('1')).pdu;
    for (const references of [['$a:domain'], [['$a:domain']], [['$a:domain', 1]], [['$a:domain', {}, 1]]]) {
      assert.throws(() => parsePdu({ ...pairs, prev_events: references }, roomVersion('1')), /prev_events/);
    }
    for (const id of ['$a', 'a:domain', '$a:do main', '$\0:domain', 1]) {
      assert.throws(() => parsePdu({ ...pairs, event_id: id }, roomVersion('2')), /event_id/);
    }
  });

  it('from 3 on, an event_id that a peer sends along is no part of the event', () => {
    for (const id of ['3', '6', '12']) {
      const version = roomVersion(id);
      const event = built(version);
      const parsed = parsePdu({ ...event.pdu, event_id: '$other:domain' }, version);
      assert.deepEqual([parsed.eventId, parsed.json, parsed.contentHashMatches], [event.eventId, event.json, true]);
    }
  });

  it('keep numbers that JavaScript has none for, through storage and redaction and for clients', () => {
    const content = parseLosslessJson('{"a":1.0,"b":12345678901234567890,"c":-0.0,"d":[1.5E3]}') as JsonObject;
    for (const version of versions) {
      const event = built(version, content);
      assert.match(event.json, /"content":\{"a":1\.0,"b":12345678901234567890,"c":-0\.0,"d":\[1500\.0\]\}/);
      const parsed = parsePdu(event.json, version);
      assert.deepEqual([parsed.json, parsed.contentHashMatches], [event.json, true]);
      const stored = parseStoredPdu(event.json);
      assert.equal(contentHash(stored, version), event.pdu.hashes.sha256);
      assert.match(JSON.stringify(syncEvent({ eventId: event.eventId, pdu: stored }, version)), /"b":12345678901234567890/);
    }
    assert.throws(() => built(roomVersion('6'), content), { errcode: 'M_BAD_JSON' });
  });

  it('have depths up to 2^63 - 1', () => {
    const event = built(roomVersion('4')).json;
    const deep = event.replace('"depth":12', '"depth":9223372036854775807');
    const { pdu } = parsePdu(deep, roomVersion('4'));
    assert.equal(clampedInteger(pdu.depth), Number.MAX_SAFE_INTEGER);
    assert.equal(exactInteger(pdu.depth), 2n ** 63n - 1n);
    for (const depth of ['9223372036854775808', '1.0', '-1']) {
      assert.throws(() => parsePdu(event.replace('"depth":12', `"depth":${depth}`), roomVersion('4')), /depth/);
    }
    assert.throws(() => parsePdu(deep, roomVersion('6')), /depth/);
  });

  it('give hostile texts a defined outcome', () => {
    const { json } = built(roomVersion('5'));
    const nested = `${'['.repeat(20_000)}1.0${']'.repeat(20_000)}`;
    assert.throws(() => parsePdu(json.replace('"x"', nested), roomVersion('5')), { errcode: 'M_BAD_JSON' });
    assert.throws(() => parsePdu(json.replace('"x"', '1e400'), roomVersion('5')), { errcode: 'M_BAD_JSON' });
    assert.throws(() => parsePdu(json.replace('"x"', '"\\ud800"'), roomVersion('5')), /lone surrogate/);
    const doubled = parsePdu(json.replace('"body":"x"', '"body":1.0,"body":"x"'), roomVersion('5'));
    assert.deepEqual([doubled.json, doubled.contentHashMatches], [json, true]);
    const proto = parsePdu(json.replace('"body":"x"', '"__proto__":{"a":1.0}'), roomVersion('5'));
    assert.match(proto.json, /"content":\{"__proto__":\{"a":1\.0\}\}/);
  });
});
