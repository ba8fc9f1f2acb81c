import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { UsageError } from '#src/cli/io.ts';

/** One option as the help shows it. */
export interface Option {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly multiple?: boolean;
  /** What the value is called in the help, such as `FILE`. */
  readonly value?: string;
  readonly help: string;
}

export type Options = Readonly<Record<string, Option>>;

type ValueOfOption<O extends Option> = O['type'] extends 'boolean'
  ? boolean
  : O extends { readonly multiple: true }
    ? readonly string[]
    : string;

export interface Arguments<O extends Options> {
  readonly options: { readonly [Name in keyof O]: ValueOfOption<O[Name]> | undefined };
  readonly positionals: readonly string[];
}

/** The option that a long name or its beginning stands for, as in Python's argparse. */
const complete = (written: string, names: readonly string[]): string => {
  if (names.includes(written)) return written;
  const candidates = names.filter((name) => name.startsWith(written));
  if (candidates.length > 1) throw new UsageError(`--${written} could be ${candidates.map((name) => `--${name}`).join(' or ')}`);
  if (candidates[0] === undefined) throw new UsageError(`there is no option --${written}`);
  return candidates[0];
};

/** What Node.js says of options, in the words of the other messages. */
const inOurWords = (message: string): string => {
  const name = /'(.+?)(?: <value>)?'/u.exec(message)?.[1] ?? message;
  if (message.startsWith('Unknown option')) return `there is no option ${name}`;
  if (message.includes('does not take an argument')) return `${name} takes no value`;
  if (message.includes('argument missing')) return `${name} needs a value`;
  return message.includes('ambiguous') ? `${name} needs a value; one that begins with a dash is written --name=VALUE` : message;
};

/**
 * Reads arguments: `--name value`, `--name=value`, unique beginnings of long names, short options.
 * @throws UsageError
 */
export const readArguments = <const O extends Options>(args: readonly string[], options: O, maxPositionals = 0): Arguments<O> => {
  const names = Object.keys(options);
  const end = args.indexOf('--');
  const expanded = args.map((arg, index) => {
    if (!arg.startsWith('--') || arg === '--' || (end !== -1 && index > end)) return arg;
    const equals = arg.indexOf('=');
    const written = arg.slice(2, equals === -1 ? undefined : equals);
    return `--${complete(written, names)}${equals === -1 ? '' : arg.slice(equals)}`;
  });
  const config: ParseArgsOptionsConfig = Object.fromEntries(
    Object.entries(options).map(([name, { type, short, multiple = false }]) => [
      name,
      { type, multiple, ...(short === undefined ? {} : { short }) },
    ]),
  );
  try {
    const { values, positionals } = parseArgs({ args: expanded, options: config, allowPositionals: true, strict: true });
    const surplus = positionals[maxPositionals];
    if (surplus !== undefined) throw new UsageError(`unexpected argument: ${surplus}`);
    return { options: values as Arguments<O>['options'], positionals };
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(inOurWords(error.message));
    throw error;
  }
};

/** The options, one a line, for the help. */
export const describeOptions = (options: Options): string => {
  const rows = Object.entries(options).map(([name, { short, value, help }]) => {
    const flag = `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
    return [flag, help] as const;
  });
  const width = Math.max(...rows.map(([flag]) => flag.length));
  return rows.map(([flag, help]) => `  ${flag.padEnd(width)}  ${help}`).join('\n');
};
