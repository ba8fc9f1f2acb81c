// What making and authorising one message costs, as a share of the Ed25519 signature that it cannot do without, beside the same in real Synapse.
// npm exec -- node bench/protocol.ts

import { sign } from 'node:crypto';
import { authStateOf, checkAuth } from '#src/protocol/auth-rules/index.ts';
import { buildPdu, type NewPdu, parsePdu } from '#src/protocol/events.ts';
import { signedText } from '#src/protocol/hashes.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { signingKeyFromSeed } from '#src/protocol/signatures.ts';
import { startSynapse } from '../test/differential/synapse.ts';
import { median } from './statistics.ts';

const ROUNDS = 21;
const TIMES = 2000;
const SEED = 'YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1';
const VERSION = roomVersion('11');
const [ALICE, BOB] = ['@alice:one.example', '@bob:one.example'] as const;

const base = {
  roomVersion: VERSION,
  roomId: '!room:one.example',
  serverName: 'one.example',
  signingKey: signingKeyFromSeed('ed25519:1', Buffer.from(SEED, 'base64')),
  originServerTs: 1_700_000_000_000,
  prevEvents: ['$Zt7U5hqGgNFLmyx7wfyvXYcvBd5B8ZyX8pK1Zc4T0aQ'],
  authEvents: [],
  depth: 1200,
} as const;

const stateEvent = (type: string, stateKey: string, sender: string, content: JsonObject) =>
  buildPdu({ ...base, type, stateKey, sender, content, ...(type === 'm.room.create' ? { prevEvents: [] } : {}) });

const users = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`@moderator${String(index)}:one.example`, 50]));
const state = [
  stateEvent('m.room.create', '', ALICE, { room_version: '11' }),
  stateEvent('m.room.power_levels', '', ALICE, {
    users: { ...users, [ALICE]: 100 },
    events: { 'm.room.name': 50, 'm.room.encryption': 100 },
    ban: 50,
  }),
  stateEvent('m.room.member', BOB, BOB, { membership: 'join', displayname: 'Bob' }),
];
const message: NewPdu = {
  ...base,
  authEvents: state.map(({ eventId }) => eventId),
  type: 'm.room.message',
  sender: BOB,
  content: { msgtype: 'm.text', body: 'The quick brown fox jumps over the lazy dog, and the dog does not mind it at all. \u{1f98a}' },
};

const built = buildPdu(message);
const parsed = parsePdu(built.json, VERSION);
const signed = Buffer.from(signedText(built.pdu as unknown as Parameters<typeof signedText>[0], VERSION));
const { hashes: _, signatures: __, ...draft } = built.pdu as JsonObject;

const WHAT = {
  signature: () => sign(null, signed, base.signingKey.privateKey),
  build: () => buildPdu(message),
  authorise: () => checkAuth(parsed.pdu, authStateOf(state), VERSION),
} satisfies Record<string, () => unknown>;

type What = keyof typeof WHAT;

const measured: Record<What | 'synapseBuild' | 'synapseAuthorise', number[]> = {
  signature: [],
  build: [],
  authorise: [],
  synapseBuild: [],
  synapseAuthorise: [],
};

await using synapse = startSynapse();
// Rounds take turns, so that what else the machine does falls on all alike; the first is for the compiler.
for (let round = 0; round <= ROUNDS; round++) {
  for (const what of Object.keys(WHAT) as What[]) {
    const started = performance.now();
    for (let time = 0; time < TIMES; time++) WHAT[what]();
    if (round > 0) measured[what].push((performance.now() - started) / TIMES);
  }
  const request = { version: VERSION.id, seed: SEED, server: base.serverName, draft: JSON.stringify(draft), text: built.json };
  const { buildMs, authMs } = await synapse.ask<{ readonly buildMs: number; readonly authMs: number }>('measure', {
    ...request,
    state: state.map(({ json }) => json),
    times: 200,
  });
  if (round === 0) continue;
  measured.synapseBuild.push(buildMs);
  measured.synapseAuthorise.push(authMs);
}

const micros = (what: keyof typeof measured): number => median(measured[what]) * 1000;
const row = (name: string, us: number, per: number, target: string): string =>
  `| ${name} | ${us.toFixed(1)} | ${per.toFixed(2)} | ${target} |`;
console.log(
  [
    '| of one message | µs | share of the signature alone | target |',
    '| --- | --- | --- | --- |',
    row('Ed25519 signature alone', micros('signature'), 1, ''),
    row('canonical JSON, hashes, id, signature', micros('build'), micros('build') / micros('signature'), '2'),
    row('authorisation', micros('authorise'), micros('authorise') / micros('signature'), '0.5'),
    row('Synapse: canonical JSON, hashes, id, signature', micros('synapseBuild'), micros('synapseBuild') / micros('signature'), ''),
    row('Synapse: authorisation', micros('synapseAuthorise'), micros('synapseAuthorise') / micros('signature'), ''),
  ].join('\n'),
);
