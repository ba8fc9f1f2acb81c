import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { until } from './until.ts';

const run = promisify(execFile);

export interface Postgres {
  readonly pid: number;
  readonly port: number;
  readonly user: string;
  /** Makes an empty database as Synapse wants it (UTF-8, C locale), or a copy of one that nobody uses. */
  create(database: string, copyOf?: string): Promise<void>;
  /** The size of a database in bytes, after a checkpoint. */
  bytes(database: string): Promise<number>;
  stop(): Promise<void>;
}

const DEBIAN_PROGRAMS = '/usr/lib/postgresql';
const USER = 'bench';

/** Debian's newest PostgreSQL programs, or undefined. */
export const findPostgres = (): string | undefined => {
  if (!existsSync(DEBIAN_PROGRAMS)) return undefined;
  const [newest] = readdirSync(DEBIAN_PROGRAMS).toSorted((a, b) => Number(b) - Number(a));
  const programs = join(DEBIAN_PROGRAMS, newest ?? '', 'bin');
  return existsSync(join(programs, 'initdb')) ? programs : undefined;
};

/** PostgreSQL refuses to run as root: then it runs as the user that Debian's package makes, else as ourselves. */
const unprivileged = (): { uid?: number; gid?: number } => {
  if (process.getuid?.() !== 0) return {};
  const line =
    readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((entry) => entry.startsWith('postgres:')) ?? 'nobody:x:65534:65534';
  const [, , uid, gid] = line.split(':').map(Number);
  return { uid: uid ?? 65_534, gid: gid ?? 65_534 };
};

const ask = async (port: number, database: string, statements: readonly string[]): Promise<Record<string, string>[]> => {
  const client = new Client({ host: '127.0.0.1', port, user: USER, database });
  await client.connect();
  try {
    let rows: Record<string, string>[] = [];
    for (const statement of statements) ({ rows } = await client.query<Record<string, string>>(statement));
    return rows;
  } finally {
    await client.end();
  }
};

const shutDown = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGINT'); // fast shutdown
  await ended;
};

/** Starts a fresh cluster with PostgreSQL's own defaults, so with every commit synced, on a loopback port. */
export const startPostgres = async (programs: string, folder: string, port: number): Promise<Postgres> => {
  const identity = unprivileged();
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (identity.uid !== undefined && identity.gid !== undefined) chownSync(folder, identity.uid, identity.gid);
  const data = join(folder, 'data');
  await run(join(programs, 'initdb'), ['-D', data, '-U', USER, '-A', 'trust', '-E', 'UTF8', '--locale=C'], { ...identity, cwd: folder });
  const log = openSync(join(folder, 'log'), 'a');
  const options = ['-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=${folder}`];
  const child = spawn(join(programs, 'postgres'), options, { ...identity, cwd: folder, stdio: ['ignore', log, log] });
  closeSync(log);
  await until('PostgreSQL to answer', 30_000, async () => {
    if (child.exitCode !== null) throw new Error(`PostgreSQL ended: see ${folder}/log`);
    return ask(port, 'postgres', ['SELECT 1']).then(
      () => true,
      () => false,
    );
  });
  return {
    pid: child.pid ?? 0,
    port,
    user: USER,
    create: async (database, copyOf = 'template0') => {
      await ask(port, 'postgres', [`CREATE DATABASE ${database} TEMPLATE ${copyOf} ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'`]);
    },
    bytes: async (database) => {
      const [row] = await ask(port, database, ['CHECKPOINT', 'SELECT pg_database_size(current_database()) AS bytes']);
      return Number(row?.['bytes']);
    },
    stop: () => shutDown(child),
  };
};
