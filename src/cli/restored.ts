import { existsSync } from 'node:fs';
import { readArguments } from '#src/cli/arguments.ts';
import { helpText, type Command } from '#src/cli/command.ts';
import { defaultConfigPath } from '#src/cli/generate.ts';
import { CommandError, UsageError, type Io } from '#src/cli/io.ts';
import { systemClock } from '#src/platform/clock.ts';
import { loadConfig } from '#src/platform/config/index.ts';
import { DatabaseError } from '#src/platform/database/errors.ts';
import { openDatabase } from '#src/platform/database/index.ts';
import { silentLogger } from '#src/platform/logging/index.ts';
import { moveOn } from '#src/restoration/index.ts';

const options = {
  'config-path': { type: 'string', short: 'c', multiple: true, value: 'FILE', help: 'The configuration; by default data/homeserver.yaml.' },
} as const;

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const { options: given } = readArguments(args, options);
  const paths = given['config-path'] ?? [defaultConfigPath(io.cwd)];
  if (given['config-path'] === undefined && !existsSync(defaultConfigPath(io.cwd)))
    throw new UsageError('name the configuration with --config-path');
  const { config } = loadConfig({ paths }, { cwd: io.cwd, env: io.env });
  try {
    // Refused while a server is at work.
    const database = await openDatabase({ config: config.database, writer: 'master', clock: systemClock, logger: silentLogger });
    try {
      const { oneTimeKeys, users } = await moveOn(database);
      io.print(`${String(oneTimeKeys)} one-time keys were dropped: clients upload new ones.`);
      io.print(`The devices of ${String(users)} users will be asked for again.`);
      io.print('All streams go on beyond what was given out since the copy was made. Start the server.');
    } finally {
      await database.close();
    }
  } catch (error) {
    if (error instanceof DatabaseError) throw new CommandError(error.message);
    throw error;
  }
  return 0;
};

export const restored: Command = {
  help: helpText(
    'restored [OPTIONS]',
    'To be run after an older copy of the database was put back, before the server is started: one-time keys that may have been handed\n' +
      'out since are dropped, clients ask for all devices again, and nothing that clients have seen is given a second meaning.',
    options,
  ),
  run,
};
