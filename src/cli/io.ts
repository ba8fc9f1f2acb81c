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
  /** Asks for a line of standard input; empty when there is none. */
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
  const output = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      if (!muted) process.stdout.write(chunk);
      done();
    },
  });
  return async (question, isSecret) => {
    process.stdout.write(question);
    reader ??= createInterface({ input: process.stdin, output, terminal: process.stdin.isTTY }).on('SIGINT', () =>
      process.exit(INTERRUPTED),
    );
    reader.resume();
    lines ??= reader[Symbol.asyncIterator]();
    muted = isSecret;
    const line = await lines.next();
    muted = false;
    if (isSecret || !process.stdin.isTTY) process.stdout.write('\n');
    reader.pause();
    return line.done === true ? '' : line.value;
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

/** Asks for a new password, twice. */
export const askNewPassword = async (io: Io): Promise<string> => {
  const password = await io.askSecret('Password: ');
  if (password === '') throw new CommandError('The password must not be empty.');
  if ((await io.askSecret('Confirm password: ')) !== password) throw new CommandError('The passwords do not match.');
  return password;
};
