import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, copyFileSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Pool } from 'undici';
import { stringify } from 'yaml';
import { createClient, ok, personOf, type Client, type Json, type Person, type Session } from './client.ts';

/** A homeserver in a process of its own, started as an operator would start it. */
export interface Server extends AsyncDisposable {
  readonly name: string;
  readonly origin: string;
  readonly pool: Pool;
  /** Calls without an access token. */
  readonly anybody: Client;
  /** A new account, by dummy authentication. */
  readonly register: (name: string) => Promise<Person>;
  /** Starts it, also again after `stop` or `kill`, on the same data and the same port. */
  start(): Promise<void>;
  /** Ends it as an operator would, by SIGTERM. */
  stop(): Promise<void>;
  /** Ends it as a power cut would, by SIGKILL. */
  kill(): Promise<void>;
  /** Copies its database aside; while it is stopped. */
  backUp(): Promise<void>;
  /** Puts the copy in the place of the database; while it is stopped. */
  putBack(): Promise<void>;
  /** Runs a command of the command line on its configuration and resolves to what that prints; throws when it fails. */
  run(...words: string[]): Promise<string>;
  /** What it has printed. */
  output(): string;
}

/** Copies a database aside, and puts the copy in its place. */
export interface Copies {
  backUp(): Promise<void>;
  putBack(): Promise<void>;
}

export interface ServerOptions {
  /** The `database` block of homeserver.yaml; by default SQLite in the server's own folder. */
  readonly database?: Json;
  /** How that is copied aside and put back. */
  readonly copies?: Copies;
  /** Further keys of homeserver.yaml. */
  readonly settings?: Json;
  /** Further listeners, beside the plain one on loopback for clients. */
  readonly listeners?: readonly Json[];
  /** By default Myelin, or with MYELIN_TEST_SERVER=synapse the pinned Synapse, to see that a test itself is right. */
  readonly program?: 'myelin' | 'synapse';
}

const REPOSITORY = join(import.meta.dirname, '../..');
const SERVER_NAME = 'test.example';
const UNLIMITED = { per_second: 100_000, burst_count: 100_000 };

/** Settings that a test can count on: open registration, no rate limits, the cheapest password hash. */
export const testSettings: Json = {
  server_name: SERVER_NAME,
  report_stats: false,
  enable_registration: true,
  enable_registration_without_verification: true,
  registration_shared_secret: 'test',
  macaroon_secret_key: 'test',
  form_secret: 'test',
  bcrypt_rounds: 4,
  trusted_key_servers: [],
  rc_message: UNLIMITED,
  rc_registration: UNLIMITED,
  rc_joins_per_room: UNLIMITED,
  rc_room_creation: UNLIMITED,
  rc_reports: UNLIMITED,
  rc_presence: { per_user: UNLIMITED },
  rc_login: { address: UNLIMITED, account: UNLIMITED, failed_attempts: UNLIMITED },
  rc_joins: { local: UNLIMITED, remote: UNLIMITED },
  rc_invites: { per_room: UNLIMITED, per_user: UNLIMITED, per_issuer: UNLIMITED },
};

/** Below those that the system gives to connections, so that none of these takes one; a hundred for each process, so that processes do not take one another's. */
const FIRST_PORT = 10_000;
const PORTS_EACH = 100;
const PROCESSES = 220;
let portsTaken = Math.floor(Math.random() * PORTS_EACH);

const isFree = async (port: number): Promise<boolean> => {
  const probe = createServer().listen(port, '127.0.0.1');
  const opened = once(probe, 'listening').then(
    () => true,
    () => false,
  );
  if (!(await opened)) return false;
  probe.close();
  await once(probe, 'close');
  return true;
};

/** A port that nobody listens on, and that nobody else is given for a while. */
export const freePort = async (): Promise<number> => {
  for (;;) {
    portsTaken += 1;
    const port = FIRST_PORT + (process.pid % PROCESSES) * PORTS_EACH + (portsTaken % PORTS_EACH);
    if (await isFree(port)) return port;
  }
};

const SYNAPSE_PYTHON = join(process.env['MYELIN_SYNAPSE_VENV'] ?? join(homedir(), '.cache/myelin/synapse-1.163.2'), 'bin/python');

/** Why there are no tests beside real Synapse, in the words of `test/skips.txt`. */
export const NO_SYNAPSE = 'real Synapse is not installed';
export const hasSynapse = existsSync(SYNAPSE_PYTHON);

const command = (program: string | undefined, config: string): [string, string[]] =>
  program === 'synapse'
    ? [SYNAPSE_PYTHON, ['-m', 'synapse.app.homeserver', '--config-path', config]]
    : [join(REPOSITORY, 'bin/myelin'), ['--config-path', config]];

const writeConfig = (folder: string, port: number, options: ServerOptions): string => {
  const config = join(folder, 'homeserver.yaml');
  const key = join(folder, 'signing.key');
  writeFileSync(key, `ed25519 a_test ${randomBytes(32).toString('base64').replaceAll('=', '')}\n`, { mode: 0o600 });
  const settings = {
    ...testSettings,
    signing_key_path: key,
    media_store_path: join(folder, 'media'),
    pid_file: join(folder, 'homeserver.pid'),
    listeners: [
      { port, type: 'http', bind_addresses: ['127.0.0.1'], resources: [{ names: ['client', 'keys'] }] },
      ...(options.listeners ?? []),
    ],
    database: options.database ?? { name: 'sqlite3', args: { database: join(folder, 'homeserver.db') } },
    ...options.settings,
  };
  writeFileSync(config, stringify(settings));
  return config;
};

const ended = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

const end = async (child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> => {
  if (!child || ended(child)) return;
  const exit = once(child, 'exit');
  child.kill(signal);
  await exit;
};

const register = async (pool: Pool, username: string): Promise<Person> => {
  const request = { username, password: `password of ${username}`, inhibit_login: false };
  const anybody = createClient(pool);
  const first = await anybody.post<{ session: string }>('/register', request);
  const auth = { type: 'm.login.dummy', session: first.body.session };
  return personOf(pool, ok(await anybody.post<Session>('/register', { ...request, auth })));
};

/** SQLite's files, with what is still in the log. */
const fileCopies = (file: string): Copies => {
  const copy = (from: string, to: string): Promise<void> => {
    for (const suffix of ['', '-wal', '-shm']) {
      rmSync(`${to}${suffix}`, { force: true });
      if (suffix !== '-shm' && existsSync(`${from}${suffix}`)) copyFileSync(`${from}${suffix}`, `${to}${suffix}`);
    }
    return Promise.resolve();
  };
  return { backUp: () => copy(file, `${file}.copy`), putBack: () => copy(`${file}.copy`, file) };
};

/** Starts a homeserver on an empty data folder, which goes away with it. */
export const startServer = async (options: ServerOptions = {}): Promise<Server> => {
  const folder = mkdtempSync(join(tmpdir(), 'myelin-test-'));
  const port = await freePort();
  const config = writeConfig(folder, port, options);
  const log = join(folder, 'output.log');
  const origin = `http://127.0.0.1:${String(port)}`;
  const pool = new Pool(origin, { connections: null, pipelining: 1 });
  const output = (): string => readFileSync(log, 'utf8');
  let child: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    const file = openSync(log, 'a');
    const [program, args] = command(options.program ?? process.env['MYELIN_TEST_SERVER'], config);
    const started = spawn(program, args, { cwd: folder, stdio: ['ignore', file, file] });
    child = started;
    closeSync(file);
    for (let waitedMs = 0; ; waitedMs += 10) {
      if (ended(started) || waitedMs > 30_000) throw new Error(`The homeserver did not start:\n${output()}`);
      const answered = await pool.request({ method: 'GET', path: '/_matrix/client/versions' }).then(
        async ({ statusCode, body }) => (await body.dump(), statusCode === 200),
        () => false,
      );
      if (answered) return;
      await sleep(10);
    }
  };

  const server: Server = {
    name: typeof options.settings?.['server_name'] === 'string' ? options.settings['server_name'] : SERVER_NAME,
    origin,
    pool,
    anybody: createClient(pool),
    register: (name) => register(pool, name),
    start,
    stop: () => end(child, 'SIGTERM'),
    kill: () => end(child, 'SIGKILL'),
    ...(options.copies ?? fileCopies(join(folder, 'homeserver.db'))),
    run: async (...words) => (await promisify(execFile)(join(REPOSITORY, 'bin/myelin'), [...words, '--config-path', config])).stdout,
    output,
    [Symbol.asyncDispose]: async () => {
      await end(child, 'SIGKILL');
      await pool.destroy();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await start().catch(async (error: unknown) => {
    await server[Symbol.asyncDispose]();
    throw error;
  });
  return server;
};
