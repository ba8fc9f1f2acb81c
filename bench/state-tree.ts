// What a large room's state costs: 100,000 members of whom one changes after another, 10,000 times: what is written, how long it takes, what is read.
// Synapse's part is written by the rule of its `StateGroupDataStore` into its own schema on SQLite.
// npm exec -- node --expose-gc bench/state-tree.ts [--engine postgres]

import { execFileSync } from 'node:child_process';
import { chmodSync, globSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseArgs } from 'node:util';
import { systemClock } from '#src/platform/clock.ts';
import { type DatabaseConfig, openDatabase } from '#src/platform/database/index.ts';
import { sql } from '#src/platform/database/sql.ts';
import { createStrings } from '#src/platform/database/strings.ts';
import type { Table } from '#src/platform/database/types.ts';
import type { StateKey } from '#src/rooms/graph/state-tree/keys.ts';
import { EMPTY, type NodeId, type StoredNode } from '#src/rooms/graph/state-tree/nodes.ts';
import { put } from '#src/rooms/graph/state-tree/tree.ts';
import { createStates, type States } from '#src/rooms/graph/states.ts';
import { putNodes } from '#src/rooms/graph/store.ts';
import { silent } from '#test/support/databases.ts';
import { findPostgres, startPostgres } from './postgres.ts';
import { median } from './statistics.ts';

const MEMBERS = 100_000;
const CHANGES = 10_000;
const CHANGES_PER_COMMIT = 100;
/** Synapse's `MAX_STATE_DELTA_HOPS`: after so many differences it writes the whole state. */
const SYNAPSE_HOPS = 100;
/** Two rounds of what Synapse repeats from then on: the other 98 would write the same again, 3 GB of it. */
const SYNAPSE_CHANGES = 2 * SYNAPSE_HOPS;
const ROUNDS = 31;
const WHOLE_ROUNDS = 15;
const ROOM = 1;
const POSTGRES_PORT = 18_433;

const { values: options } = parseArgs({ options: { engine: { type: 'string', default: 'sqlite' } } });

const folder = mkdtempSync(join(tmpdir(), 'myelin-state-'));
chmodSync(folder, 0o755); // PostgreSQL's user passes through
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const programs = findPostgres();
if (options.engine === 'postgres' && programs === undefined) throw new Error('PostgreSQL was not found');
const cluster =
  options.engine === 'postgres' && programs !== undefined
    ? await startPostgres(programs, join(folder, 'postgres'), POSTGRES_PORT)
    : undefined;
await cluster?.create('myelin');
const config: DatabaseConfig =
  cluster === undefined
    ? { name: 'sqlite3', args: { database: join(folder, 'myelin.db') } }
    : { name: 'psycopg2', args: { host: '127.0.0.1', port: cluster.port, user: cluster.user, dbname: 'myelin' } };
const database = await openDatabase({ config, writer: 'master', clock: systemClock, logger: silent });
const strings = createStrings(database);
const newStates = (): States => createStates(database, strings);

const keyOf = (index: number): StateKey => ({ type: 5, server: 100 + (index % 50), stateKey: 1000 + index });
const shuffled = (index: number, members: number): number => (index * 7919) % members;

const fileBytes = async (): Promise<number> => {
  if (cluster !== undefined) return cluster.bytes('myelin');
  const size = async (what: 'page_count' | 'page_size'): Promise<number> =>
    Object.values(
      (await database.read('size', async (reader) =>
        reader.one<Record<string, number>>(what === 'page_count' ? sql`PRAGMA page_count` : sql`PRAGMA page_size`),
      )) ?? {},
    )[0] ?? 0;
  return (await size('page_count')) * (await size('page_size'));
};

const write = async (states: States, room: number, nodes: readonly StoredNode[]): Promise<void> => {
  await database.write('nodes', async (tx) => putNodes(tx, room, nodes));
  states.remember(nodes);
};

/** A room of so many members, its state put in parts. */
const makeRoom = async (states: States, room: number, members: number): Promise<NodeId> => {
  let root = EMPTY;
  for (let first = 0; first < members; first += 5000) {
    const changes = Array.from({ length: Math.min(5000, members - first) }, (_, index) => ({
      key: keyOf(first + index),
      event: first + index + 1,
    }));
    const made = await put(states.nodesOf(room), root, changes);
    await write(states, room, made.created);
    root = made.root;
  }
  return root;
};

const timed = async (step: () => Promise<unknown>, rounds = ROUNDS): Promise<number> => {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    await step();
    times.push(performance.now() - start);
  }
  return median(times);
};

const say = (what: string, figure: string): void => console.log(`${what.padEnd(78)} ${figure}`);
const number = (value: number, digits = 3): string => value.toLocaleString('en', { maximumSignificantDigits: digits });

/** Changes one member after another; answers the roots, what was written, and what it took. */
const change = async (states: States, room: number, first: NodeId, members: number, count: number) => {
  const roots = [first];
  let [bytes, nodes, putMs] = [0, 0, 0];
  let waiting: StoredNode[] = [];
  const start = performance.now();
  for (let index = 0; index < count; index++) {
    const began = performance.now();
    const made = await put(states.nodesOf(room), roots.at(-1) as NodeId, [
      { key: keyOf(shuffled(index, members)), event: 1_000_000 + index },
    ]);
    putMs += performance.now() - began;
    states.remember(made.created);
    roots.push(made.root);
    waiting.push(...made.created);
    nodes += made.created.length;
    for (const node of made.created) bytes += node.data.byteLength;
    if ((index + 1) % CHANGES_PER_COMMIT !== 0) continue;
    await write(states, room, waiting);
    waiting = [];
  }
  await write(states, room, waiting);
  return { roots, bytes: bytes / count, nodes: nodes / count, putMs: putMs / count, allMs: (performance.now() - start) / count };
};

const synapse = (): { perChange: number; initial: number } => {
  const venv = execFileSync(join(import.meta.dirname, '../scripts/synapse-venv.sh'), { encoding: 'utf8' })
    .trim()
    .split('\n')
    .at(-1) as string;
  const site = join(venv, 'lib/python3*/site-packages/synapse/storage');
  const [schema] = globSync(join(site, 'schema/state/full_schemas/*/full.sql.sqlite')).sort().toReversed();
  const [rule] = globSync(join(site, 'databases/state/store.py'));
  if (schema === undefined || rule === undefined) throw new Error('There is no schema of Synapse');
  if (!readFileSync(rule, 'utf8').includes(`MAX_STATE_DELTA_HOPS = ${String(SYNAPSE_HOPS)}`))
    throw new Error("Synapse's rule is another one");
  const path = join(folder, 'synapse.db');
  const store = new DatabaseSync(path);
  store.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF');
  store.exec(readFileSync(schema, 'utf8'));
  const group = store.prepare('INSERT INTO state_groups (id, room_id, event_id) VALUES (?, ?, ?)');
  const edge = store.prepare('INSERT INTO state_group_edges (state_group, prev_state_group) VALUES (?, ?)');
  const line = store.prepare('INSERT INTO state_groups_state (state_group, room_id, type, state_key, event_id) VALUES (?, ?, ?, ?, ?)');
  const roomId = '!abcdefghijklmnopqr:one.example';
  const userOf = (index: number): string => `@user${String(index)}:server${String(index % 50)}.example`;
  const eventOf = (num: number): string => `$${Buffer.from(String(num).padStart(32, 'x')).toString('base64url').slice(0, 43)}`;
  const events = Array.from({ length: MEMBERS }, (_, index) => eventOf(index));
  const whole = (id: number): void => {
    for (const [index, event] of events.entries()) line.run(id, roomId, 'm.room.member', userOf(index), event);
  };
  store.exec('BEGIN');
  group.run(1, roomId, eventOf(0));
  whole(1);
  store.exec('COMMIT');
  const initial = statSync(path).size;
  let hops = 0;
  store.exec('BEGIN');
  for (let index = 0; index < SYNAPSE_CHANGES; index++) {
    const [id, who, event] = [index + 2, shuffled(index, MEMBERS), eventOf(1_000_000 + index)];
    events[who] = event;
    group.run(id, roomId, event);
    if (hops < SYNAPSE_HOPS - 1) {
      edge.run(id, id - 1);
      line.run(id, roomId, 'm.room.member', userOf(who), event);
      hops++;
    } else {
      whole(id);
      hops = 0;
    }
  }
  store.exec('COMMIT');
  store.close();
  return { perChange: (statSync(path).size - initial) / SYNAPSE_CHANGES, initial };
};

const states = newStates();
const empty = await fileBytes();
const first = await makeRoom(states, ROOM, MEMBERS);
const made = await fileBytes();
const changed = await change(states, ROOM, first, MEMBERS, CHANGES);
const perChange = ((await fileBytes()) - made) / CHANGES;
say(
  `Myelin: nodes and their bytes per change of one of ${number(MEMBERS)} members`,
  `${number(changed.nodes)}, ${number(changed.bytes, 4)}`,
);
say('Myelin: bytes of the database per change', number(perChange, 4));
say('Myelin: database with the room before the changes and the steps to it, MB', number((made - empty) / 1e6));
if (cluster === undefined) {
  const theirs = synapse();
  say('Synapse: bytes of the database per change', `${number(theirs.perChange)} (Myelin: 1/${number(theirs.perChange / perChange)})`);
  say('Synapse: database with the room before the changes, MB', number(theirs.initial / 1e6));
}
say('ms per change: the tree alone, and with the writing', `${number(changed.putMs)}, ${number(changed.allMs)}`);

const smallFirst = await makeRoom(states, ROOM + 1, 100);
const small = await change(states, ROOM + 1, smallFirst, 100, 1000);
const apart = (roots: readonly NodeId[], by: number): readonly [NodeId, NodeId] => [roots.at(-1 - by) as NodeId, roots.at(-1) as NodeId];
const warm = async (room: number, [before, after]: readonly [NodeId, NodeId]): Promise<number> =>
  timed(async () => {
    for (let round = 0; round < 20; round++) await states.diff(room, before, after);
  }).then((ms) => ms / 20);
const [large1, small1] = [await warm(ROOM, apart(changed.roots, 1)), await warm(ROOM + 1, apart(small.roots, 1))];
const [large10, small10] = [await warm(ROOM, apart(changed.roots, 10)), await warm(ROOM + 1, apart(small.roots, 10))];
say(
  'ms for the diff of neighbours: in the room, in one of 100 members',
  `${number(large1)}, ${number(small1)} (${number(large1 / small1)}×)`,
);
say(
  'ms for the diff of states that differ in 10 keys: in the room, in one of 100',
  `${number(large10)}, ${number(small10)} (${number(large10 / small10)}×)`,
);
say('ms for the same, nothing in memory', number(await timed(async () => newStates().diff(ROOM, ...apart(changed.roots, 10)))));

const flatColumns = { type: 'bigint', server: 'bigint', state_key: 'bigint', event: 'bigint' } as const;
const flat: Table<typeof flatColumns> = { name: 'bench_state', columns: flatColumns, key: ['type', 'server', 'state_key'] };
await database.write('one table', async (tx) => {
  await tx.run(
    sql`CREATE TABLE bench_state (type BIGINT, server BIGINT, state_key BIGINT, event BIGINT, PRIMARY KEY (type, server, state_key))`,
  );
  for (let index = 0; index < MEMBERS; index++)
    tx.insert(flat, { type: 5, server: 100 + (index % 50), state_key: 1000 + index, event: index });
});
const last = changed.roots.at(-1) as NodeId;
const [colds, tables]: [number[], number[]] = [[], []];
for (let round = 0; round < WHOLE_ROUNDS; round++) {
  colds.push(await timed(async () => newStates().entries(ROOM, last), 1));
  tables.push(
    await timed(async () => database.read('one table', async (from) => from.all(sql`SELECT type, state_key, event FROM bench_state`)), 1),
  );
}
const [cold, rows] = [median(colds), median(tables)];
globalThis.gc?.();
const before = process.memoryUsage();
const reader = newStates();
await reader.entries(ROOM, last);
globalThis.gc?.();
const after = process.memoryUsage();
say(
  'MiB that the whole state keeps in memory (heap and buffers; with --expose-gc)',
  number((after.heapUsed + after.external - before.heapUsed - before.external) / 2 ** 20),
);
const held = await timed(async () => reader.entries(ROOM, last));
say(
  'ms for the whole state: nothing in memory, from memory, the same rows from one table',
  `${number(cold)}, ${number(held)}, ${number(rows)} (${number(cold / rows)}×, ${number(held / rows)}×)`,
);
await database.close();
await cluster?.stop();
