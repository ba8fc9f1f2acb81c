import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Postgres } from './postgres.ts';
import { until } from './until.ts';

export type ServerName = 'myelin' | 'synapse';
export type EngineName = 'sqlite' | 'postgres';

export interface Server {
  readonly origin: string;
  readonly pid: number;
  /** Its folder, in which its database is too if that is SQLite. */
  readonly data: string;
  /** Where Node's inspector listens, if it was asked for. */
  readonly inspectPort: number | undefined;
  /** Starts it and answers how many milliseconds passed until it answered a request. */
  start(): Promise<number>;
  stop(): Promise<void>;
  /** The size of its database in bytes, once stopped. */
  databaseBytes(): Promise<number>;
}

const SERVER_CORE = '0';
const here = import.meta.dirname;

const command = (name: ServerName, synapseVenv: string, config: string): string[] =>
  name === 'myelin'
    ? [join(here, '../bin/myelin'), '--config-path', config]
    : [join(synapseVenv, 'bin/python'), '-m', 'synapse.app.homeserver', '--config-path', config];

const SQLITE_FILE = 'homeserver.db';
const KEY_FILE = 'signing.key';

/** Writes the configuration; the key is new, or that of the server whose copy this is. */
const writeConfig = (data: string, port: number, database: unknown, copyOf: string | undefined): string => {
  mkdirSync(data, { recursive: true });
  const values: Record<string, string> = { data, port: String(port), database: JSON.stringify(database) };
  const template = readFileSync(join(here, 'homeserver.yaml'), 'utf8');
  const config = join(data, 'homeserver.yaml');
  writeFileSync(
    config,
    template.replaceAll(/\$\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole),
  );
  writeFileSync(join(data, 'log.yaml'), readFileSync(join(here, 'log.yaml')));
  const key =
    copyOf === undefined
      ? `ed25519 a_bench ${randomBytes(32).toString('base64').replaceAll('=', '')}\n`
      : readFileSync(join(copyOf, KEY_FILE));
  writeFileSync(join(data, KEY_FILE), key, { mode: 0o600 });
  return config;
};

const answers = (origin: string): Promise<boolean> =>
  new Promise((resolve) => {
    const request = get(`${origin}/_matrix/client/versions`, { agent: false, timeout: 2000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('error', () => resolve(false));
    request.on('timeout', () => request.destroy(new Error('timeout')));
  });

const sqliteBytes = (file: string): number => {
  const database = new DatabaseSync(file);
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  const size = database.prepare('SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()').get();
  database.close();
  return Number(size?.['bytes']);
};

const end = async (child: ChildProcess, name: ServerName): Promise<void> => {
  if (child.exitCode !== null) return;
  const ended = once(child, 'exit');
  const timer = setTimeout(() => {
    console.error(`${name} did not end on SIGTERM within 20 s and was killed`);
    child.kill('SIGKILL');
  }, 20_000);
  child.kill('SIGTERM');
  await ended;
  clearTimeout(timer);
};

/**
 * Prepares one server with an empty data folder, or on a copy of what another one left (its folder: `copyOf`; a database of PostgreSQL has been copied
 * already), pinned to one core; its output goes to `data`/output.log.
 */
export const prepareServer = (options: {
  name: ServerName;
  data: string;
  port: number;
  synapseVenv: string;
  postgres: Postgres | undefined;
  database: string;
  copyOf: string | undefined;
  inspectPort: number | undefined;
}): Server => {
  const { name, data, port, postgres, database, copyOf, inspectPort } = options;
  const origin = `http://127.0.0.1:${String(port)}`;
  const file = join(data, SQLITE_FILE);
  const config = writeConfig(
    data,
    port,
    postgres
      ? { name: 'psycopg2', args: { user: postgres.user, host: '127.0.0.1', port: postgres.port, dbname: database, cp_min: 5, cp_max: 10 } }
      : { name: 'sqlite3', args: { database: file } },
    copyOf,
  );
  if (copyOf !== undefined && !postgres) copyFileSync(join(copyOf, SQLITE_FILE), file);
  let child: ChildProcess | undefined;
  return {
    origin,
    data,
    inspectPort,
    get pid() {
      return child?.pid ?? 0;
    },
    start: async () => {
      const log = openSync(join(data, 'output.log'), 'a');
      const begun = performance.now();
      const started = spawn('taskset', ['-c', SERVER_CORE, ...command(name, options.synapseVenv, config)], {
        cwd: data,
        stdio: ['ignore', log, log],
        ...(inspectPort !== undefined && { env: { ...process.env, NODE_OPTIONS: `--inspect=127.0.0.1:${String(inspectPort)}` } }),
      });
      child = started;
      closeSync(log);
      await until(`${name} to answer`, 60_000, () => {
        if (started.exitCode !== null) throw new Error(`${name} ended at its start: see ${data}/output.log`);
        return answers(origin);
      });
      return performance.now() - begun;
    },
    stop: async () => {
      if (child) await end(child, name);
    },
    databaseBytes: async () => (postgres ? postgres.bytes(database) : sqliteBytes(file)),
  };
};
