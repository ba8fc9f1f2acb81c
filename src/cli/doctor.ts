import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { readArguments } from '#src/cli/arguments.ts';
import { helpText, type Command } from '#src/cli/command.ts';
import { defaultConfigPath } from '#src/cli/generate.ts';
import { CommandError, UsageError, type Io } from '#src/cli/io.ts';
import { ConfigError, loadConfig, readSigningKeys, type Config, type LoadedConfig } from '#src/platform/config/index.ts';
import { DatabaseError } from '#src/platform/database/errors.ts';

const options = {
  'config-path': { type: 'string', short: 'c', multiple: true, value: 'FILE', help: 'The configuration; by default data/homeserver.yaml.' },
  all: { type: 'boolean', help: 'Also re-check every room in the database: hashes, signatures, authorisation, state, memberships.' },
  room: { type: 'string', multiple: true, value: 'ID', help: 'Re-check this room only. May be repeated.' },
  repair: { type: 'boolean', help: 'With --all or --room: put right what follows from what is sound. The server must be stopped.' },
  'dry-run': { type: 'boolean', help: 'With --repair: only say what would be done, also while the server runs.' },
  json: { type: 'boolean', help: 'With --all or --room: print damage alone, as one JSON object a line.' },
} as const;

/** One thing that is looked at. `look` answers what is well, or throws what is not. */
interface Check {
  readonly name: string;
  readonly look: (config: Config) => string | Promise<string>;
}

/** A folder that exists and can be written to, or one that can be made. */
const writableFolder = (path: string): string => {
  let existing = path;
  while (!existsSync(existing)) existing = dirname(existing);
  accessSync(existing, constants.W_OK | constants.X_OK);
  return existing === path ? `${path} can be written to` : `${path} can be made`;
};

const signingKey = (config: Config): string => {
  const [first] = readSigningKeys(config);
  const isOpen = config.signing_key === undefined && (statSync(config.signing_key_path).mode & 0o004) !== 0;
  const where = config.signing_key === undefined ? config.signing_key_path : 'the configuration';
  if (isOpen) throw new Error(`everybody on this machine can read ${where}; run chmod 600 on it`);
  return `${first?.keyId ?? ''} in ${where}`;
};

const sqlite = async (file: string): Promise<string> => {
  if (file === ':memory:') return 'in memory: everything is lost when the server stops';
  if (!existsSync(file)) return `${file} will be made at the first start; ${writableFolder(dirname(file))}`;
  accessSync(file, constants.R_OK | constants.W_OK);
  const { DatabaseSync } = await import('node:sqlite');
  using database = new DatabaseSync(file, { readOnly: true });
  const row = database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get();
  return `${file} can be opened; ${String(row?.['tables'])} tables and indices`;
};

const postgres = async ({ database: { args } }: Config): Promise<string> => {
  const { default: pg } = await import('pg');
  const name = args.database ?? args.dbname;
  const client = new pg.Client({
    host: args.host,
    port: args.port,
    user: args.user,
    password: args.password,
    database: name,
    connectionTimeoutMillis: 10_000,
  });
  try {
    await client.connect();
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
    return `PostgreSQL ${rows[0]?.server_version ?? ''} lets us in`;
  } finally {
    await client.end();
  }
};

const CHECKS: readonly Check[] = [
  { name: 'Signing key', look: signingKey },
  {
    name: 'Database',
    look: (config) => (config.database.name === 'sqlite3' ? sqlite(config.database.args.database ?? '') : postgres(config)),
  },
  { name: 'Media folder', look: (config) => writableFolder(config.media_store_path) },
];

const load = (paths: readonly string[], io: Io): LoadedConfig | undefined => {
  try {
    return loadConfig({ paths }, { cwd: io.cwd, env: io.env });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const fault of error.faults) io.print(`FAULT  Configuration: ${fault}`);
    return undefined;
  }
};

/** The quick form: the configuration and what it refers to. Answers whether all is well. */
const checkSurroundings = async (paths: readonly string[], { config, warnings, notActedOn }: LoadedConfig, io: Io): Promise<boolean> => {
  io.print(`ok     Configuration: ${paths.join(', ')} for ${config.server_name}`);
  for (const warning of warnings) io.print(`note   Configuration: ${warning}`);
  if (notActedOn.length > 0) io.print(`note   Configuration: without effect as yet: ${notActedOn.join(', ')}`);
  let isWell = true;
  for (const { name, look } of CHECKS) {
    try {
      io.print(`ok     ${name}: ${await look(config)}`);
    } catch (error) {
      isWell = false;
      io.print(`FAULT  ${name}: ${(error as Error).message}`);
    }
  }
  return isWell;
};

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const { options: given } = readArguments(args, options);
  const asJson = given.json === true;
  const wantsRooms = given.all === true || given.room !== undefined;
  if (given.all === true && given.room !== undefined) throw new UsageError('--all looks at every room: leave --room out');
  const repair = given.repair === true;
  if (repair && !wantsRooms) throw new UsageError('--repair goes with --all or --room');
  if (given['dry-run'] === true && !repair) throw new UsageError('--dry-run goes with --repair');
  if (asJson && !wantsRooms) throw new UsageError('--json goes with --all or --room');
  const paths = given['config-path'] ?? [defaultConfigPath(io.cwd)];
  if (given['config-path'] === undefined && !existsSync(defaultConfigPath(io.cwd)))
    throw new UsageError('name the configuration with --config-path');
  // What a program reads is damage and nothing else.
  const quickIo = asJson ? { ...io, print: io.complain } : io;
  const loaded = load(paths, quickIo);
  if (loaded === undefined || !(await checkSurroundings(paths, loaded, quickIo))) return 1;
  if (!wantsRooms) return 0;
  const { checkRooms } = await import('#src/cli/doctor-rooms.ts');
  try {
    return await checkRooms(
      loaded.config,
      { roomIds: given.room, asJson, mode: repair ? (given['dry-run'] === true ? 'dry-run' : 'repair') : 'look' },
      io,
    );
  } catch (error) {
    if (error instanceof DatabaseError) throw new CommandError(error.message);
    throw error;
  }
};

export const doctor: Command = {
  help: helpText(
    'doctor [OPTIONS]',
    'Checks the configuration, the signing key, the folders and the database, and says what is wrong. Changes nothing.\n' +
      'With --all or --room it re-checks what is stored of rooms, also while the server runs. Ctrl+C ends it at any time.\n' +
      'With --repair it also puts right what can be: keep a copy of the database first.\n' +
      'Exit codes: 0 all is well or was put right, 1 it could not be looked at, 2 wrong use, 3 there is damage in rooms.',
    options,
  ),
  run,
};
