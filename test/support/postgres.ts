import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { systemClock } from '#src/platform/clock.ts';
import { openDatabase } from '#src/platform/database/index.ts';
import type { DatabaseConfig } from '#src/platform/database/index.ts';
import { silentLogger } from '#src/platform/logging/index.ts';

/** A PostgreSQL server that was started for the tests: its socket folder. */
export interface Cluster {
  readonly host: string;
}

const USER = 'myelin';
const TEMPLATE = 'myelin_template';
const ENV = 'MYELIN_TEST_POSTGRES';
const BASE = '/usr/lib/postgresql';

/** Why there are no PostgreSQL tests, in the words of `test/skips.txt`. */
export const NO_POSTGRES = 'PostgreSQL was not found';

const findPrograms = (): string | undefined => {
  const candidates: string[] = [];
  try {
    candidates.push(execFileSync('pg_config', ['--bindir'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim());
  } catch {
    // Not in the path; Debian keeps each version in a folder of its own.
  }
  const versions = existsSync(BASE) ? readdirSync(BASE).sort((a, b) => Number(b) - Number(a)) : [];
  candidates.push(...versions.map((version) => join(BASE, version, 'bin')));
  return candidates.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')));
};

let programs: string | undefined | null = null;

/** Where PostgreSQL's programs are, `undefined` when it is not installed. */
export const postgresPrograms = (): string | undefined => {
  if (programs === null) programs = findPrograms();
  return programs;
};

/** PostgreSQL refuses to run as root: then it runs as `postgres` or `nobody`. */
const unprivileged = (): { uid?: number; gid?: number } => {
  if (process.getuid?.() !== 0) return {};
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const found = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  return { uid: Number(found?.[2] ?? 65_534), gid: Number(found?.[3] ?? 65_534) };
};

// The shell ends the server and removes the folder when its standard input ends, which it also does when we are killed.
const RUN = `
"$1/initdb" -D "$2/data" -U ${USER} -A trust -E UTF8 --locale=C --no-sync >"$2/initdb.log" 2>&1 || { cat "$2/initdb.log"; exit 1; }
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c max_connections=300 -c logging_collector=off >"$2/server.log" 2>&1 &
server=$!
tries=0
until "$1/pg_isready" -q -h "$2" -U ${USER} -d postgres; do
  tries=$((tries + 1))
  if [ $tries -gt 600 ]; then cat "$2/server.log"; break; fi
  sleep 0.05
done
echo ready
read -r _ || true
kill -INT $server
wait $server
rm -rf "$2"
`;

/** Starts a server; `stop` ends it, as does the end of this process. */
export const startCluster = async (): Promise<Cluster & { stop(): Promise<void> }> => {
  const folder = postgresPrograms();
  if (folder === undefined) throw new Error(NO_POSTGRES);
  const host = mkdtempSync(join(tmpdir(), 'myelin-pg-'));
  const owner = unprivileged();
  if (owner.uid !== undefined && owner.gid !== undefined) chownSync(host, owner.uid, owner.gid);
  const shell = spawn('/bin/sh', ['-c', RUN, 'sh', folder, host], {
    ...owner,
    cwd: host,
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => shell.once('exit', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    let output = '';
    shell.once('exit', () => reject(new Error(`PostgreSQL did not start: ${output}`)));
    shell.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('ready')) resolve();
    });
  });
  shell.unref();
  for (const stream of [shell.stdin, shell.stdout]) (stream as unknown as { unref(): void }).unref();
  return {
    host,
    stop: async () => {
      shell.ref();
      shell.stdin.end();
      await ended;
    },
  };
};

const configOf = ({ host }: Cluster, dbname: string): DatabaseConfig => ({
  name: 'psycopg2',
  args: { host, user: USER, dbname, cp_max: 5 },
});

const administer = async ({ host }: Cluster, ...statements: string[]): Promise<void> => {
  const client = new pg.Client({ host, user: USER, database: 'postgres' });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
};

/** Makes the database that the tests' databases are copies of. */
export const makeTemplate = async (cluster: Cluster): Promise<void> => {
  await administer(cluster, `CREATE DATABASE ${TEMPLATE}`);
  const database = await openDatabase({
    config: configOf(cluster, TEMPLATE),
    writer: 'master',
    clock: systemClock,
    logger: silentLogger,
  });
  await database.close();
};

/** A server of a test's own that keeps what it confirms, and that can be cut off from one moment to the next. */
export interface DurableCluster extends Cluster {
  readonly config: DatabaseConfig;
  /** Ends all of its processes at once, in the middle of whatever they do: only what they gave to the kernel stays. */
  cutPower(): Promise<void>;
  /** Starts it again on the same files. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** The processes that a process has started. */
const childrenOf = (pid: number): number[] =>
  spawnSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter(Boolean)
    .map(Number);

const killAtOnce = (pid: number): void => {
  // Stopped first, so that it starts nothing more and cannot see to its children's end.
  process.kill(pid, 'SIGSTOP');
  for (const child of childrenOf(pid)) process.kill(child, 'SIGKILL');
  process.kill(pid, 'SIGKILL');
};

/** Starts a server with `fsync`; `settings` go into its command line (`name=value`). */
export const startDurableCluster = async (settings: readonly string[] = []): Promise<DurableCluster> => {
  const folder = postgresPrograms();
  if (folder === undefined) throw new Error(NO_POSTGRES);
  const host = mkdtempSync(join(tmpdir(), 'myelin-pg-'));
  const owner = unprivileged();
  if (owner.uid !== undefined && owner.gid !== undefined) chownSync(host, owner.uid, owner.gid);
  const data = join(host, 'data');
  const locale = ['-U', USER, '-A', 'trust', '-E', 'UTF8', '--locale=C'];
  execFileSync(join(folder, 'initdb'), ['-D', data, ...locale], { ...owner, cwd: host, stdio: 'ignore' });
  let server: ChildProcess | undefined;
  const isUp = (): boolean =>
    spawnSync(join(folder, 'pg_isready'), ['-q', '-h', host, '-U', USER, '-d', 'postgres'], { stdio: 'ignore' }).status === 0;

  const start = async (): Promise<void> => {
    const log = openSync(join(host, 'server.log'), 'a');
    const all = ['listen_addresses=', 'fsync=on', 'logging_collector=off', ...settings].flatMap((setting) => ['-c', setting]);
    server = spawn(join(folder, 'postgres'), ['-D', data, '-k', host, ...all], { ...owner, cwd: host, stdio: ['ignore', log, log] });
    while (!isUp()) {
      if (server.exitCode !== null) throw new Error(readFileSync(join(host, 'server.log'), 'utf8'));
      await sleep(20);
    }
  };

  const end = async (how: (pid: number) => void): Promise<void> => {
    if (server?.pid === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const exit = once(server, 'exit');
    how(server.pid);
    await exit;
  };

  await start();
  return {
    host,
    config: configOf({ host }, 'postgres'),
    cutPower: () => end(killAtOnce),
    restart: start,
    stop: async () => {
      await end((pid) => process.kill(pid, 'SIGINT'));
      rmSync(host, { recursive: true, force: true });
    },
  };
};

/** Tells test processes started from now on that there is a server for them. */
export const offerCluster = ({ host }: Cluster): void => {
  process.env[ENV] = host;
};

let own: Promise<Cluster> | undefined;

const startOwn = async (): Promise<Cluster> => {
  const cluster = await startCluster();
  await makeTemplate(cluster);
  return cluster;
};

/** The run's server, or one that this process starts for itself. */
const theCluster = (): Promise<Cluster> => {
  const host = process.env[ENV];
  if (host !== undefined) return Promise.resolve({ host });
  return (own ??= startOwn());
};

/** Makes a database for one test: a copy of the template, or an `empty` one. */
export const makePostgres = async (
  kind: 'migrated' | 'empty' = 'migrated',
): Promise<{ config: DatabaseConfig; drop(): Promise<void>; backUp(): Promise<void>; putBack(): Promise<void> }> => {
  const cluster = await theCluster();
  const name = `test_${String(process.pid)}_${process.hrtime.bigint().toString(36)}`;
  await administer(cluster, `CREATE DATABASE ${name} TEMPLATE ${kind === 'empty' ? 'template0' : TEMPLATE}`);
  const drop = (which: string): string => `DROP DATABASE IF EXISTS ${which} WITH (FORCE)`;
  const copy = (from: string, to: string): Promise<void> => administer(cluster, drop(to), `CREATE DATABASE ${to} TEMPLATE ${from}`);
  return {
    config: configOf(cluster, name),
    drop: () => administer(cluster, drop(name), drop(`${name}_copy`)),
    backUp: () => copy(name, `${name}_copy`),
    putBack: () => copy(`${name}_copy`, name),
  };
};
