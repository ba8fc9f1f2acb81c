import type { Command } from '#src/cli/command.ts';
import { CommandError, UsageError, type Io } from '#src/cli/io.ts';
import { ConfigError } from '#src/platform/config/config-error.ts';

interface Word {
  readonly summary: string;
  /** Imported only when it is asked for, so that small commands start fast. */
  readonly load: () => Promise<Command>;
}

const WORDS: Readonly<Record<string, Word>> = {
  run: { summary: 'Run the homeserver (also without a word).', load: async () => (await import('#src/cli/run.ts')).run },
  'register-user': {
    summary: 'Make an account on the running server, for example that of the first administrator.',
    load: async () => (await import('#src/cli/register-user.ts')).registerUser,
  },
  'reset-password': {
    summary: 'Give a user of the running server a new password.',
    load: async () => (await import('#src/cli/reset-password.ts')).resetPassword,
  },
  'list-sessions': {
    summary: 'List the devices on which a user is logged in.',
    load: async () => (await import('#src/cli/sessions.ts')).listSessions,
  },
  'drop-sessions': {
    summary: 'Log a user out of devices.',
    load: async () => (await import('#src/cli/sessions.ts')).dropSessions,
  },
  'explain-encryption': {
    summary: 'Say why a device cannot decrypt what another one sends.',
    load: async () => (await import('#src/cli/explain-encryption.ts')).explainEncryption,
  },
  federation: {
    summary: 'Check the way to another homeserver, see what waits to be sent, send it now.',
    load: async () => (await import('#src/cli/federation.ts')).federation,
  },
  doctor: {
    summary: 'Check the configuration, what it refers to, and what is stored of rooms.',
    load: async () => (await import('#src/cli/doctor.ts')).doctor,
  },
  restored: {
    summary: 'Make the database fit to go on with, after an older copy of it was put back.',
    load: async () => (await import('#src/cli/restored.ts')).restored,
  },
  'hash-password': {
    summary: 'Print the hash of a password, as the database holds it.',
    load: async () => (await import('#src/cli/hash-password.ts')).hashPassword,
  },
};

const overview = (): string => {
  const rows = [
    ...Object.entries(WORDS).map(([word, { summary }]) => [word, summary] as const),
    ['help', 'Show this list; with a word, its help.'],
    ['version', 'Print the version.'],
  ] as const;
  const width = Math.max(...rows.map(([word]) => word.length));
  return `Usage: myelin [COMMAND] [OPTIONS]\n\nCommands:\n${rows.map(([word, summary]) => `  ${word.padEnd(width)}  ${summary}`).join('\n')}`;
};

const printVersion = async (io: Io): Promise<number> => {
  const { VERSION } = await import('#src/platform/version.ts');
  io.print(`Myelin ${VERSION}`);
  return 0;
};

const showHelp = async (word: string | undefined, io: Io): Promise<number> => {
  if (word === undefined) {
    io.print(overview());
    return 0;
  }
  const entry = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
  if (entry === undefined) throw new UsageError(`there is no command ${word}\n\n${overview()}`);
  io.print((await entry.load()).help);
  return 0;
};

const dispatch = async (args: readonly string[], io: Io): Promise<number> => {
  const [first = ''] = args;
  if (first === 'help') return showHelp(args[1], io);
  if (first === 'version' || first === '--version') return printVersion(io);
  const isWord = first !== '' && !first.startsWith('-');
  const word = isWord ? first : 'run';
  const rest = isWord ? args.slice(1) : args;
  const beforeEnd = rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : rest;
  if (beforeEnd.includes('-h') || beforeEnd.includes('--help')) {
    if (!isWord) io.print(`${overview()}\n`);
    return showHelp(word, io);
  }
  const entry = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
  if (entry === undefined) throw new UsageError(`there is no command ${word}\n\n${overview()}`);
  try {
    return await (await entry.load()).run(rest, io);
  } catch (error) {
    const late = isWord ? undefined : beforeEnd.find((arg) => Object.hasOwn(WORDS, arg));
    if (error instanceof UsageError && late !== undefined) throw new UsageError(`the command comes first: myelin ${late} [OPTIONS]`);
    throw error;
  }
};

/**
 * The command line. Resolves to the exit code: 2 when it was used wrongly, 1 for a wrong configuration and everything else that failed.
 */
export const main = async (args: readonly string[], io: Io): Promise<number> => {
  try {
    return await dispatch(args, io);
  } catch (error) {
    if (error instanceof UsageError) {
      io.complain(`myelin: ${error.message}`);
      return 2;
    }
    if (error instanceof ConfigError) {
      const [noun, verb] = error.faults.length === 1 ? ['fault', 'stops'] : ['faults', 'stop'];
      io.complain(`myelin: ${String(error.faults.length)} ${noun} in the configuration ${verb} the start:`);
      for (const fault of error.faults) io.complain(`  ${fault}`);
      return 1;
    }
    io.complain(
      `myelin: ${error instanceof CommandError ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    return 1;
  }
};
