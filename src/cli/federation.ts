import { existsSync } from 'node:fs';
import { readArguments } from '#src/cli/arguments.ts';
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
  'config-path': { type: 'string', short: 'c', multiple: true, value: 'FILE', help: 'The configuration; by default data/homeserver.yaml.' },
} as const;

const WORDS: Readonly<Record<Finding['outcome'], string>> = { well: 'ok    ', note: 'note  ', fault: 'FAULT ' };

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const { options: given, positionals } = readArguments(args, options, 2);
  const [word, serverName] = positionals;
  if (word !== 'check' || serverName === undefined) throw new UsageError('say check, and the name of a server');
  const paths = given['config-path'] ?? [defaultConfigPath(io.cwd)];
  if (given['config-path'] === undefined && !existsSync(defaultConfigPath(io.cwd)))
    throw new UsageError('name the configuration with --config-path');
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

export const federation: Command = {
  help: helpText(
    'federation check [OPTIONS] SERVER',
    'Goes the way to another homeserver step by step, as this one does by its configuration, and says what is wrong on it: delegation, addresses,\n' +
      'connection and certificate, clock, keys, and whether that server accepts what this one signs. The name of this server itself will do, too.\n' +
      'Exit codes: 0 nothing is wrong, 1 something is, 2 wrong use.',
    options,
  ),
  run,
};
