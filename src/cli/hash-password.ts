import { existsSync } from 'node:fs';
import { readArguments } from '#src/cli/arguments.ts';
import { helpText, type Command } from '#src/cli/command.ts';
import { defaultConfigPath } from '#src/cli/generate.ts';
import { newPassword, UsageError } from '#src/cli/io.ts';
import { loadConfig } from '#src/platform/config/index.ts';

const options = {
  password: { type: 'string', short: 'p', value: 'PASSWORD', help: 'The password; else it is asked for.' },
  config: {
    type: 'string',
    short: 'c',
    multiple: true,
    value: 'FILE',
    help: 'The configuration of the server, for bcrypt_rounds and the pepper; by default data/homeserver.yaml.',
  },
} as const;

export const hashPassword: Command = {
  help: helpText('hash-password [OPTIONS]', 'Prints the hash of a password, as the database and the admin API take it.', options),
  run: async (args, io) => {
    const { options: given } = readArguments(args, options);
    const fallback = existsSync(defaultConfigPath(io.cwd)) ? [defaultConfigPath(io.cwd)] : undefined;
    const paths = given.config ?? fallback;
    if (paths === undefined) throw new UsageError('name the configuration of the server with --config');
    const { config } = loadConfig({ paths }, { cwd: io.cwd, env: io.env });
    const password = await newPassword(given.password, io);
    const { createPasswordThreads, createPasswords } = await import('#src/platform/crypto/passwords.ts');
    const threads = createPasswordThreads({ threads: 1 });
    try {
      const passwords = createPasswords({ threads, lane: '', rounds: config.bcrypt_rounds, pepper: config.password_config.pepper });
      io.print(await passwords.hash(password));
    } finally {
      await threads.close();
    }
    return 0;
  },
};
