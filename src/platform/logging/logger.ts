import { CRITICAL, DEBUG, ERROR, INFO, WARNING } from './format.ts';
import type { LogRecord, PythonLevel } from './format.ts';

/** `log('Sentence')`, `log({ roomNum, tookMs }, 'Sentence')` or `log(error)`; the field `err` holds an error. */
type Log = (what: unknown, message?: string) => void;

const LEVELS = { debug: DEBUG, info: INFO, warn: WARNING, error: ERROR, fatal: CRITICAL } as const;

type Level = keyof typeof LEVELS;

/** Logs under one name. */
export interface Logger extends Readonly<Record<Level, Log>> {
  /** Whether it is worth making a message at all. */
  isLevelEnabled(level: Level): boolean;
  /** A logger under the same name whose lines all have these fields. */
  child(fields: Fields): Logger;
}

export type Fields = Readonly<Record<string, unknown>>;

/** What was logged, taken apart. */
export type Entry = Pick<LogRecord, 'level' | 'message' | 'fields' | 'error'>;

/** Where a logger's entries go. */
export interface Outlet {
  /** Entries below this are not even made; may change. */
  readonly level: PythonLevel;
  readonly write: (entry: Entry) => void;
}

const NO_FIELDS: Fields = {};

/** `error`, `{ err: error, … }` and `{ … }` in one shape. */
const takeError = (given: object): { readonly error: Error | undefined; readonly fields: Fields } => {
  if (given instanceof Error) return { error: given, fields: NO_FIELDS };
  const all = given as Fields;
  if (!(all['err'] instanceof Error)) return { error: undefined, fields: all };
  const { err, ...fields } = all;
  return { error: err, fields };
};

const entryOf = (level: PythonLevel, always: Fields, what: unknown, message: string | undefined): Entry => {
  if (typeof what !== 'object' || what === null) return { level, message: message ?? String(what), fields: always, error: undefined };
  const { error, fields } = takeError(what);
  return {
    level,
    message: message ?? error?.message ?? '',
    fields: always === NO_FIELDS ? fields : { ...always, ...fields },
    error,
  };
};

export const createLogger = (outlet: Outlet, always: Fields = NO_FIELDS): Logger => {
  const at =
    (level: PythonLevel): Log =>
    (what, message) => {
      if (level >= outlet.level) outlet.write(entryOf(level, always, what, message));
    };
  return {
    debug: at(LEVELS.debug),
    info: at(LEVELS.info),
    warn: at(LEVELS.warn),
    error: at(LEVELS.error),
    fatal: at(LEVELS.fatal),
    isLevelEnabled: (level) => LEVELS[level] >= outlet.level,
    child: (fields) => createLogger(outlet, { ...always, ...fields }),
  };
};

/** Says nothing. */
export const silentLogger: Logger = createLogger({ level: Number.POSITIVE_INFINITY, write: () => undefined });
