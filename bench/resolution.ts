// What resolving a fork costs: of ten keys, in a small and a large room, of two sides and of twenty, beside Synapse's resolver on the same case.
// npm exec -- node bench/resolution.ts

import { systemClock } from '#src/platform/clock.ts';
import { openDatabase } from '#src/platform/database/index.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import { systemRandom } from '#src/platform/random.ts';
import { authTypesFor } from '#src/protocol/auth-rules/index.ts';
import { authEventIds, buildPdu, referencesTo } from '#src/protocol/events.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import type { SigningKey } from '#src/protocol/signatures.ts';
import { createAuthChains } from '#src/rooms/graph/auth-chains/index.ts';
import { createRoomGraph, type NewEvent, type RoomEvent, type RoomInfo } from '#src/rooms/graph/index.ts';
import { resolveRoots } from '#src/rooms/graph/resolve.ts';
import type { NodeId } from '#src/rooms/graph/state-tree/nodes.ts';
import { diff } from '#src/rooms/graph/state-tree/tree.ts';
import { ALICE, BOB, KEYS, member, message, serverKeys, state, THEIRS } from '#src/rooms/graph/testing/world.ts';
import { addNodes, newPending, roomReads } from '#src/rooms/graph/view.ts';
import { silent } from '#test/support/databases.ts';
import { startSynapse } from '../test/differential/synapse.ts';
import { median } from './statistics.ts';

const VERSION = roomVersion('10');
const ROUNDS = 31;
const SYNAPSE_ROUNDS = 5;
const MEMBERS_PER_BATCH = 500;

const database = await openDatabase({
  config: { name: 'sqlite3', args: { database: ':memory:' } },
  writer: 'master',
  clock: systemClock,
  logger: silent,
});
const strings = createStrings(database);
const authChains = createAuthChains(database);
const graph = await createRoomGraph({
  database,
  strings,
  clock: systemClock,
  random: systemRandom,
  serverName: THEIRS,
  signingKey: KEYS[THEIRS] as SigningKey,
  soleWriter: true,
  serverKeys: serverKeys(),
});

const LEVELS: JsonObject = { users: { [ALICE]: 100, [BOB]: 50 } };

const makeRoom = async (members: number): Promise<RoomInfo> => {
  const create = state(ALICE, 'm.room.create', '', { creator: ALICE, room_version: VERSION.id });
  const { room } = await graph.createRoom(VERSION.id, create, async (draft) => {
    await draft.append(member(ALICE, ALICE, 'join'));
    await draft.append(state(ALICE, 'm.room.power_levels', '', LEVELS));
    await draft.append(state(ALICE, 'm.room.join_rules', '', { join_rule: 'public' }));
    await draft.append(member(BOB, BOB, 'join'));
  });
  const userOf = (index: number): string => `@user${String(index)}:${THEIRS}`;
  for (let first = 0; first < members; first += MEMBERS_PER_BATCH) {
    await graph.write(room, async (draft) => {
      const last = Math.min(members, first + MEMBERS_PER_BATCH);
      for (let index = first; index < last; index++) await draft.append(member(userOf(index), userOf(index), 'join'));
    });
  }
  return room;
};

/** Ten keys that each side of a fork changes: levels, join rules, bans, and what shows who won. */
const changesOf = (side: number): NewEvent[] => {
  const sender = side % 2 === 0 ? ALICE : BOB;
  const own = { side: String(side) };
  return [
    state(ALICE, 'm.room.power_levels', '', { ...LEVELS, events: { [`side.${String(side)}`]: 50 } }),
    state(sender, 'm.room.join_rules', '', { join_rule: 'public', ...own }),
    state(sender, 'm.room.member', `@user1:${THEIRS}`, { membership: 'ban', ...own }),
    state(sender, 'm.room.member', `@user2:${THEIRS}`, { membership: side === 0 ? 'ban' : 'leave', ...own }),
    state(sender, 'm.room.topic', '', { topic: `side ${String(side)}` }),
    state(sender, 'm.room.name', '', { name: `side ${String(side)}` }),
    ...['a', 'b', 'c', 'd'].map((key) => state(sender, 'bench.state', key, own)),
  ];
};

let now = 1_700_000_000_000;

/** Receives an event upon another, authorised by the state there. */
const add = async (room: RoomInfo, previous: RoomEvent, wanted: NewEvent): Promise<RoomEvent> => {
  const authEvents: RoomEvent[] = [];
  const selected = { ...wanted, ...(wanted.stateKey === undefined ? {} : { state_key: wanted.stateKey }) };
  for (const [type, stateKey] of authTypesFor(selected, VERSION)) {
    const num = await graph.states.get(room.num, previous.stateRoot as string, type, stateKey);
    const found = num === undefined ? undefined : await graph.events.byNum(num);
    if (found !== undefined) authEvents.push(found);
  }
  now += 1;
  const { json } = buildPdu({
    roomVersion: VERSION,
    roomId: room.roomId,
    ...wanted,
    originServerTs: now,
    depth: previous.depth + 1,
    prevEvents: referencesTo([previous], VERSION),
    authEvents: referencesTo(authEvents, VERSION),
    serverName: THEIRS,
    signingKey: KEYS[THEIRS] as SigningKey,
  });
  const received = await graph.receive(room, json);
  if (received === undefined || received.fault !== undefined) throw new Error(`${json}: ${received?.fault ?? 'known'}`);
  return received;
};

/** The last events of the sides of a fork. */
const fork = async (room: RoomInfo, sides: number): Promise<RoomEvent[]> => {
  const [start] = (await graph.head(room)).extremities as [RoomEvent];
  const tips: RoomEvent[] = [];
  for (let side = 0; side < sides; side++) {
    let tip = await add(room, start, message(ALICE, `side ${String(side)}`));
    for (const change of changesOf(side)) tip = await add(room, tip, change);
    tips.push(tip);
  }
  return tips;
};

/** What resolving takes in milliseconds, and the state that comes of it. The nodes that it makes are not written. */
const resolveOnce = async (
  room: RoomInfo,
  tips: readonly RoomEvent[],
): Promise<{ readonly ms: number; readonly changed: readonly number[] }> => {
  const pending = newPending();
  const reads = roomReads(room.num, pending, graph.states, graph.events);
  const roots = tips.map(({ stateRoot }) => stateRoot as NodeId);
  const started = performance.now();
  const { root, created } = await resolveRoots({ database, strings, states: graph.states, authChains }, VERSION, pending, reads, roots);
  const ms = performance.now() - started;
  addNodes(pending, created);
  const differences = await diff(reads.nodes, roots[0]!, root);
  return { ms, changed: differences.flatMap(({ after }) => after ?? []) };
};

const measure = async (room: RoomInfo, tips: readonly RoomEvent[]): Promise<number> => {
  const all: number[] = [];
  for (let round = 0; round < ROUNDS; round++) all.push((await resolveOnce(room, tips)).ms);
  return median(all);
};

/** The same fork resolved by Synapse, whose state must be ours; finding auth chains, which its database does, is not counted. */
const measureSynapse = async (room: RoomInfo, tips: readonly RoomEvent[]): Promise<number> => {
  await using synapse = startSynapse();
  await synapse.ask('open', { version: VERSION.id });
  const states = await Promise.all(tips.map(async ({ stateRoot }) => graph.stateEvents(room, stateRoot as string)));
  const known = new Map(states.flat().map((event) => [event.eventId, event]));
  // Events that others cite and that are no longer in any state.
  for (const { pdu } of known.values()) {
    for (const eventId of authEventIds(pdu)) if (!known.has(eventId)) known.set(eventId, (await graph.events.byId(eventId))!);
  }
  await synapse.ask('put', { texts: [...known.values()].map(({ json }) => json) });
  const sets = states.map((events) => events.map(({ eventId }) => eventId));
  const all: number[] = [];
  for (let round = 0; round < SYNAPSE_ROUNDS; round++) {
    const answer = await synapse.ask<{ readonly ms: number; readonly state: readonly string[] }>('resolve', { sets });
    all.push(answer.ms);
    const theirs = new Set(answer.state);
    const changed = (await resolveOnce(room, tips)).changed;
    const ours = await Promise.all(changed.map(async (num) => (await graph.events.byNum(num))!.eventId));
    const first = new Set(sets[0]);
    if (theirs.difference(first).symmetricDifference(new Set(ours)).size > 0) throw new Error('Synapse comes to another state');
  }
  return median(all);
};

const small = await makeRoom(500);
const large = await makeRoom(50_000);
const smallTips = await fork(small, 2);
const largeTips = await fork(large, 2);
const times = {
  small: await measure(small, smallTips),
  large: await measure(large, largeTips),
  synapseSmall: await measureSynapse(small, smallTips),
  synapseLarge: await measureSynapse(large, largeTips),
};
const many = await makeRoom(500);
const manyTips = await fork(many, 20);
const twenty = { ours: await measure(many, manyTips), synapse: await measureSynapse(many, manyTips) };

const row = (name: string, ours: number, theirs: number, target: string): string =>
  `| ${name} | ${ours.toFixed(2)} | ${theirs.toFixed(1)} | 1/${(theirs / ours).toFixed(1)} | ${target} |`;
console.log(
  [
    '| fork in ten keys | Myelin, ms | Synapse, ms | ratio | target |',
    '| --- | --- | --- | --- | --- |',
    row('2 sides, 500 members', times.small, times.synapseSmall, ''),
    row('2 sides, 50,000 members', times.large, times.synapseLarge, '1/20'),
    row('20 sides, 500 members', twenty.ours, twenty.synapse, ''),
    '',
    `50,000 members cost ${(times.large / times.small).toFixed(2)}× of 500 (target 2×); 20 sides cost ${(twenty.ours / times.small).toFixed(1)}× of 2 (target 10×).`,
  ].join('\n'),
);
await database.close();
