import { describeOptions, type Options } from '#src/cli/arguments.ts';
import type { Io } from '#src/cli/io.ts';

export interface Command {
  /** What `--help` prints. */
  readonly help: string;
  /** Resolves to the exit code. @throws UsageError, CommandError, ConfigError */
  run(args: readonly string[], io: Io): Promise<number>;
}

/** The help of a command: how it is called, what it does, its options. */
export const helpText = (usage: string, description: string, options: Options): string =>
  `Usage: myelin ${usage}\n\n${description}\n\nOptions:\n${describeOptions({ ...options, help: { type: 'boolean', short: 'h', help: 'Show this help.' } })}`;
