import type { LogContext } from './context.ts';

/** One thing that was logged, before it has a shape. */
export interface LogRecord {
  readonly timeMs: number;
  /** Dotted name of the logger, `synapse.access.http.8008`. */
  readonly name: string;
  readonly level: PythonLevel;
  readonly message: string;
  /** What was given beside the message, without the error. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly error: Error | undefined;
  readonly context: LogContext | undefined;
}

/** Levels as Python's logging counts them, since `log_config` is written in them. */
export type PythonLevel = number;

export const DEBUG = 10;
export const INFO = 20;
export const WARNING = 30;
export const ERROR = 40;
export const CRITICAL = 50;

const NAMES: ReadonlyArray<readonly [PythonLevel, string]> = [
  [CRITICAL, 'CRITICAL'],
  [ERROR, 'ERROR'],
  [WARNING, 'WARNING'],
  [INFO, 'INFO'],
  [DEBUG, 'DEBUG'],
];

export const levelName = (level: PythonLevel): string => NAMES.find(([least]) => level >= least)?.[1] ?? 'DEBUG';

/** A level as YAML gives it: a name in any case, or a number. */
export const parseLevel = (value: unknown): PythonLevel | undefined => {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
  if (typeof value !== 'string') return undefined;
  const name = value.toUpperCase();
  if (name === 'NOTSET') return 0;
  if (name === 'WARN') return WARNING;
  if (name === 'FATAL') return CRITICAL;
  return NAMES.find(([, known]) => known === name)?.[0];
};

/** Turns a record into one line, without the line break at its end. */
export type Formatter = (record: LogRecord) => string;

export const DEFAULT_FORMAT = '%(asctime)s - %(name)s - %(lineno)d - %(levelname)s - %(request)s - %(message)s';

const two = (value: number): string => (value < 10 ? `0${value}` : `${value}`);

const STRFTIME: Readonly<Record<string, (date: Date) => string>> = {
  Y: (date) => `${date.getFullYear()}`,
  m: (date) => two(date.getMonth() + 1),
  d: (date) => two(date.getDate()),
  H: (date) => two(date.getHours()),
  M: (date) => two(date.getMinutes()),
  S: (date) => two(date.getSeconds()),
  z: (date) => {
    const offset = -date.getTimezoneOffset();
    return `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`;
  },
  '%': () => '%',
};

/** Local time by a strftime pattern; keeps the last second's text, for many lines share it. */
const timeFormatter = (pattern: string): ((timeMs: number) => string) => {
  let second = Number.NaN;
  let text = '';
  return (timeMs) => {
    const now = Math.floor(timeMs / 1000);
    if (now !== second) {
      const date = new Date(timeMs);
      text = pattern.replace(/%([a-zA-Z%])/g, (whole, letter: string) => STRFTIME[letter]?.(date) ?? whole);
      second = now;
    }
    return text;
  };
};

const shorten = (value: unknown): string => {
  if (typeof value === 'string') return value;
  return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner)) ?? 'undefined';
};

// A line break inside a message would let a client write lines of its own into the log.
const oneLine = (text: string): string => (/[\r\n]/.test(text) ? text.replaceAll('\r', '\\r').replaceAll('\n', '\\n') : text);

const messageOf = (record: LogRecord): string => {
  let text = record.message;
  for (const [key, value] of Object.entries(record.fields)) text += ` ${key}=${shorten(value)}`;
  return oneLine(text);
};

const stackOf = (error: Error): string => {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : '';
  return `${error.stack ?? `${error.name}: ${error.message}`}${cause}`;
};

type Piece = string | Formatter;

const pieceOf = (name: string, datefmt: string | undefined): Formatter => {
  if (name === 'asctime') {
    const time = timeFormatter(datefmt ?? '%Y-%m-%d %H:%M:%S');
    if (datefmt !== undefined) return (record) => time(record.timeMs);
    return (record) => `${time(record.timeMs)},${`${Math.floor(record.timeMs % 1000)}`.padStart(3, '0')}`;
  }
  const known: Readonly<Record<string, Formatter>> = {
    name: (record) => record.name,
    levelname: (record) => levelName(record.level),
    levelno: (record) => `${record.level}`,
    message: messageOf,
    request: (record) => record.context?.request ?? 'sentinel',
    created: (record) => `${record.timeMs / 1000}`,
    msecs: (record) => `${record.timeMs % 1000}`,
    process: () => `${process.pid}`,
    processName: () => 'MainProcess',
    threadName: () => 'MainThread',
    // Finding the line would cost more than the rest of the log line.
    lineno: () => '0',
  };
  return known[name] ?? ((record) => shorten(record.context?.describe?.()[name] ?? record.fields[name] ?? ''));
};

const PIECE = /%\((\w+)\)(-?)(\d*)(?:\.\d+)?[sdfir]|%%/g;

/** A formatter by Python's `%(name)s` pattern; the stack of an error follows on lines of its own. */
export const textFormatter = (pattern: string = DEFAULT_FORMAT, datefmt?: string): Formatter => {
  const pieces: Piece[] = [];
  let end = 0;
  for (const match of pattern.matchAll(PIECE)) {
    if (match.index > end) pieces.push(pattern.slice(end, match.index));
    end = match.index + match[0].length;
    const [, name, left, digits] = match;
    if (name === undefined) {
      pieces.push('%');
      continue;
    }
    const piece = pieceOf(name, datefmt);
    const width = Number(digits);
    if (width === 0) pieces.push(piece);
    else pieces.push((record) => (left === '-' ? piece(record).padEnd(width) : piece(record).padStart(width)));
  }
  pieces.push(pattern.slice(end));
  return (record) => {
    let line = '';
    for (const piece of pieces) line += typeof piece === 'string' ? piece : piece(record);
    return record.error === undefined ? line : `${line}\n${stackOf(record.error)}`;
  };
};

/** One JSON object a line, with the keys of Synapse's `JsonFormatter`, or of its `TerseJsonFormatter` when `terse` (it has the time). */
export const jsonFormatter = (terse: boolean): Formatter => {
  return (record) => {
    const event: Record<string, unknown> = { log: record.message, namespace: record.name, level: levelName(record.level) };
    if (terse) event['time'] = Math.round(record.timeMs / 10) / 100;
    if (record.context !== undefined) Object.assign(event, { request: record.context.request }, record.context.describe?.());
    for (const [key, value] of Object.entries(record.fields)) event[key] = value;
    if (record.error !== undefined) {
      event['exc_type'] = record.error.name;
      event['exc_value'] = record.error.message;
      event['exc_stack'] = stackOf(record.error);
    }
    return shorten(event);
  };
};
