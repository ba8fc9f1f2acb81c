import type { Parsed } from '#src/platform/config/parsed.ts';
import type { Place } from '#src/platform/config/place.ts';

/** What a rule that looks at several keys may ask and report. */
export interface Report {
  /** The place of a key, to report at. */
  at(path: string): Place;
  /** Whether the file (or the command line) says anything about a top-level key. */
  isSet(name: string): boolean;
}

/** Checks of one section that need more than one key. They run after every key was read; a faulty key then has its default. */
export type Rules = (config: Parsed, report: Report) => void;

/** Synapse refuses a secret that is given both inline and as a file. */
export const notBoth = (report: Report, path: string, inline: unknown, file: unknown): void => {
  if (inline !== undefined && file !== undefined) report.at(`${path}_path`).refuse(`${path} is set too; keep one of them`);
};
