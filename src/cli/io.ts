import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';

/** What a command sees of the world around it. */
export interface Io {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A line to standard output. */
  print(line: string): void;
  /** A line to standard error. */
  complain(line: string): void;
  /** Asks for a line of standard input. @throws CommandError when the input has ended */
  ask(question: string): Promise<string>;
  /** The same without showing what is typed. */
  askSecret(question: string): Promise<string>;
}

/** The command line was used wrongly: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A command could not do what it was asked to; the message is all that is shown: exit code 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** What a shell says of a program that Ctrl+C ended. */
const INTERRUPTED = 130;

/** One reader for all questions, so that lines that arrive together are not lost between them. */
const createPrompter = (): ((question: string, isSecret: boolean) => Promise<string>) => {
  let muted = false;
  let lines: AsyncIterator<string> | undefined;
  let reader: Interface | undefined;
  let hasEnded = false;
  const output = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      if (!muted) process.stdout.write(chunk);
      done();
    },
  });
  return async (question, isSecret) => {
    process.stdout.write(question);
    reader ??= createInterface({ input: process.stdin, output, terminal: process.stdin.isTTY })
      .on('SIGINT', () => process.exit(INTERRUPTED))
      .on('close', () => {
        hasEnded = true;
      });
    // Lines may be left when the input has ended.
    if (!hasEnded) reader.resume();
    lines ??= reader[Symbol.asyncIterator]();
    muted = isSecret;
    const line = await lines.next();
    muted = false;
    if (isSecret || !process.stdin.isTTY) process.stdout.write('\n');
    if (line.done === true)
      throw new CommandError('The input ended where an answer was expected. What is asked for can also be given as an option: see --help.');
    if (!hasEnded) reader.pause();
    return line.value;
  };
};

export const createIo = (): Io => {
  const prompt = createPrompter();
  return {
    cwd: process.cwd(),
    env: process.env,
    print: (line) => process.stdout.write(`${line}\n`),
    complain: (line) => process.stderr.write(`${line}\n`),
    ask: (question) => prompt(question, false),
    askSecret: (question) => prompt(question, true),
  };
};

const EMPTY_PASSWORD = 'The password must not be empty.';

/** A new password: that of the option, else one that is asked for twice. @throws UsageError, CommandError */
export const newPassword = async (given: string | undefined, io: Io): Promise<string> => {
  if (given === '') throw new UsageError(EMPTY_PASSWORD);
  if (given !== undefined) return given;
  const password = await io.askSecret('Password: ');
  if (password === '') throw new CommandError(EMPTY_PASSWORD);
  if ((await io.askSecret('Confirm password: ')) !== password) throw new CommandError('The passwords do not match.');
  return password;
};
