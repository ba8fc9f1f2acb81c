import { existsSync } from 'node:fs';
import { adminOptions, asAdmin } from '#src/cli/admin-session.ts';
import { type Arguments, readArguments } from '#src/cli/arguments.ts';
import { helpText, type Command } from '#src/cli/command.ts';
import { defaultConfigPath } from '#src/cli/generate.ts';
import { CommandError, UsageError, type Io } from '#src/cli/io.ts';
import { checkServer, type Finding } from '#src/federation/index.ts';
import { systemClock } from '#src/platform/clock.ts';
import { loadConfig, readSigningKeys } from '#src/platform/config/index.ts';
import { systemDns } from '#src/platform/network/index.ts';
import { systemRandom } from '#src/platform/random.ts';
import { VERSION } from '#src/platform/version.ts';
import { signingKeyFromSeed } from '#src/protocol/signatures.ts';

const options = {
  ...adminOptions,
  'config-path': { type: 'string', multiple: true, value: 'FILE', help: 'The same as --config.' },
} as const;
type Given = Arguments<typeof options>['options'];

const WORDS: Readonly<Record<Finding['outcome'], string>> = { well: 'ok    ', note: 'note  ', fault: 'FAULT ' };

const check = async (given: Given, serverName: string, io: Io): Promise<number> => {
  const named = given.config ?? given['config-path'];
  if (named === undefined && !existsSync(defaultConfigPath(io.cwd))) throw new UsageError('name the configuration with --config');
  const paths = named ?? [defaultConfigPath(io.cwd)];
  const { config } = loadConfig({ paths });
  const [key] = readSigningKeys(config);
  if (key === undefined) throw new CommandError('There is no signing key.');
  const tools = {
    config,
    signingKey: signingKeyFromSeed(key.keyId, Buffer.from(key.seed)),
    dns: systemDns,
    clock: systemClock,
    random: systemRandom,
    version: VERSION,
  };
  const isWell = await checkServer(tools, serverName, ({ outcome, step, sentence }) => io.print(`${WORDS[outcome]} ${step}: ${sentence}`));
  return isWell ? 0 : 1;
};

const PATH = '/_synapse/admin/v1/federation/destinations';

const timeOf = (ts: unknown): string => (typeof ts === 'number' ? `${new Date(ts).toISOString().slice(0, 16).replace('T', ' ')} UTC` : '?');

/** One line: how sending to a server is doing. What servers say of their errors is printed without control characters. */
const statusLine = (status: Readonly<Record<string, unknown>>): string => {
  const { destination, failure_ts: since, retry_last_ts: last, retry_interval: interval, last_error: error } = status;
  const waits = `${String(status['waiting_events'])} events and ${String(status['waiting_rooms'])} rooms wait`;
  const isWell = since === null;
  const trouble = isWell ? 'ok' : `not reached since ${timeOf(since)}, tried again at ${timeOf(Number(last) + Number(interval))}`;
  const reason = typeof error === 'string' ? `; last error, ${timeOf(status['last_error_ts'])}: ${error}` : '';
  return `${String(destination)}\t${trouble}; ${waits}${reason}`.replaceAll(/[^\P{Cc}\t]/gu, '?');
};

const isRow = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null;

const status = async (given: Given, serverName: string | undefined, io: Io): Promise<number> => {
  await asAdmin(given, io, async (session) => {
    if (serverName !== undefined) {
      io.print(statusLine(await session.get(`${PATH}/${encodeURIComponent(serverName)}`)));
      return;
    }
    let count = 0;
    for (let from: string | undefined = '0'; from !== undefined;) {
      const page = await session.get(`${PATH}?from=${encodeURIComponent(from)}`);
      const rows = Array.isArray(page['destinations']) ? page['destinations'].filter((row) => isRow(row)) : [];
      for (const row of rows) io.print(statusLine(row));
      count += rows.length;
      from = typeof page['next_token'] === 'string' ? page['next_token'] : undefined;
    }
    if (count === 0) io.complain('This server has sent to no other yet.');
  });
  return 0;
};

const retry = async (given: Given, serverName: string, io: Io): Promise<number> => {
  await asAdmin(given, io, async (session) => {
    await session.post(`${PATH}/${encodeURIComponent(serverName)}/reset_connection`, {});
    io.print(`What waits for ${serverName} is sent now.`);
  });
  return 0;
};

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const { options: given, positionals } = readArguments(args, options, 2);
  const [word, serverName] = positionals;
  const merged: Given = { ...given, config: given.config ?? given['config-path'] };
  if (word === 'status') return status(merged, serverName, io);
  if (word !== 'check' && word !== 'retry') throw new UsageError('say check, status or retry');
  if (serverName === undefined) throw new UsageError('name a server');
  return word === 'check' ? check(merged, serverName, io) : retry(merged, serverName, io);
};

export const federation: Command = {
  help: helpText(
    'federation check|status|retry [OPTIONS] [SERVER]',
    'check goes the way to another homeserver step by step, as this one does by its configuration, and says what is wrong on it: delegation, addresses,\n' +
      'connection and certificate, clock, keys, and whether that server accepts what this one signs. The name of this server itself will do, too.\n' +
      'status says how sending to other servers, or to one, is doing: what waits for them, since when they are not reached, and why.\n' +
      'retry takes a server for well again and sends at once what waits for it. Both ask the running server, as an administrator.\n' +
      'Exit codes: 0 nothing is wrong, 1 something is, 2 wrong use.',
    options,
  ),
  run,
};
