import { parse } from 'yaml';
import type { Clock } from '#src/platform/clock.ts';
import { DEFAULT_FORMAT, INFO, jsonFormatter, parseLevel, textFormatter } from './format.ts';
import type { Formatter, PythonLevel } from './format.ts';
import { consoleSink, fileSink, nextMidnight, remoteSink } from './sinks.ts';
import type { Rotation, Sink } from './sinks.ts';

export interface LogHandler {
  readonly level: PythonLevel;
  readonly format: Formatter;
  readonly sink: Sink;
}

export interface LoggerSettings {
  readonly level: PythonLevel | undefined;
  readonly handlers: readonly LogHandler[];
  readonly propagate: boolean;
}

/** What a `log_config` file asks for. */
export interface LogSettings {
  readonly rootLevel: PythonLevel;
  readonly rootHandlers: readonly LogHandler[];
  /** By logger name; `synapse.storage.SQL` rules all whose name begins with it and a dot. */
  readonly loggers: ReadonlyMap<string, LoggerSettings>;
  readonly sinks: readonly Sink[];
  /** What was not understood and is done without; one sentence each. */
  readonly warnings: readonly string[];
}

/** The file cannot be used at all. */
export class LogConfigError extends Error {
  override readonly name = 'LogConfigError';
}

type Dictionary = Readonly<Record<string, unknown>>;

const isDictionary = (value: unknown): value is Dictionary => typeof value === 'object' && value !== null && !Array.isArray(value);

const dictionary = (value: unknown): Dictionary => (isDictionary(value) ? value : {});

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

const count = (value: unknown, otherwise: number): number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? Math.floor(value) : otherwise;

/** One line of text a record, to standard error, as Synapse does without a `log_config`. */
export const defaultLogSettings = (): LogSettings => {
  const sink = consoleSink('stderr');
  const handler: LogHandler = { level: 0, format: textFormatter(), sink };
  return { rootLevel: INFO, rootHandlers: [handler], loggers: new Map(), sinks: [sink], warnings: [] };
};

type Warn = (sentence: string) => void;

const formatterOf = (name: string, value: unknown, warn: Warn): Formatter => {
  const settings = dictionary(value);
  const kind = text(settings['()']) ?? text(settings['class']);
  if (kind?.endsWith('TerseJsonFormatter') === true) return jsonFormatter(true);
  if (kind?.endsWith('JsonFormatter') === true) return jsonFormatter(false);
  if (kind !== undefined && !/(^|\.)(Log)?Formatter$/.test(kind)) warn(`formatters.${name}: ${kind} is not known; text is written instead`);
  if (settings['style'] !== undefined && settings['style'] !== '%') {
    warn(`formatters.${name}: only style "%" is known; the default format is used`);
    return textFormatter();
  }
  return textFormatter(text(settings['format']) ?? DEFAULT_FORMAT, text(settings['datefmt']));
};

const UNIT_MS: Readonly<Record<string, number>> = { S: 1000, M: 60_000, H: 3_600_000, D: 86_400_000 };

const timedRotation = (name: string, settings: Dictionary, warn: Warn): Rotation => {
  const when = (text(settings['when']) ?? 'H').toUpperCase();
  const keep = count(settings['backupCount'], 0) || Number.MAX_SAFE_INTEGER;
  const unit = UNIT_MS[when];
  if (unit !== undefined) {
    const span = unit * Math.max(1, count(settings['interval'], 1));
    return { by: 'time', keep: Math.min(keep, 1000), nextMs: (now) => now + span };
  }
  if (when !== 'MIDNIGHT') warn(`handlers.${name}: when: ${when} is not known; the file is put aside at midnight`);
  return { by: 'time', keep: Math.min(keep, 1000), nextMs: nextMidnight };
};

const streamOf = (value: unknown): 'stdout' | 'stderr' => (text(value)?.endsWith('stdout') === true ? 'stdout' : 'stderr');

const fileOf = (name: string, settings: Dictionary, clock: Clock, rotation?: Rotation): Sink => {
  const path = text(settings['filename']);
  if (path === undefined) throw new LogConfigError(`handlers.${name}: filename is missing`);
  try {
    return fileSink(path, clock, rotation);
  } catch (error) {
    throw new LogConfigError(`handlers.${name}: cannot write to ${path}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
};

/** The sink of a handler by the last part of its class; `undefined` when the class is not known. */
const sinkOf = (name: string, settings: Dictionary, clock: Clock, warn: Warn): Sink | undefined => {
  const kind = (text(settings['class']) ?? text(settings['()']) ?? '').split('.').at(-1);
  switch (kind) {
    case 'StreamHandler':
      return consoleSink(streamOf(settings['stream']));
    case 'FileHandler':
    case 'WatchedFileHandler':
      return fileOf(name, settings, clock);
    case 'RotatingFileHandler':
      return fileOf(name, settings, clock, {
        by: 'size',
        maxBytes: count(settings['maxBytes'], 0),
        keep: count(settings['backupCount'], 0),
      });
    case 'TimedRotatingFileHandler':
      return fileOf(name, settings, clock, timedRotation(name, settings, warn));
    case 'RemoteHandler':
      return remoteSink(text(settings['host']) ?? '127.0.0.1', count(settings['port'], 9000), count(settings['maximum_buffer'], 10_000));
    case 'NullHandler':
      return { write: () => undefined, flush: () => undefined, close: () => Promise.resolve() };
    default:
      warn(`handlers.${name}: class ${JSON.stringify(settings['class'] ?? null)} is not known; its lines go to standard error`);
      return consoleSink('stderr');
  }
};

const BUFFERS = /(^|\.)(Periodically)?(Flushing)?MemoryHandler$/;

const readHandlers = (all: Dictionary, formatters: ReadonlyMap<string, Formatter>, clock: Clock, warn: Warn): Map<string, LogHandler> => {
  const handlers = new Map<string, LogHandler>();
  const build = (name: string, path: readonly string[]): LogHandler | undefined => {
    const known = handlers.get(name);
    if (known !== undefined) return known;
    const settings = all[name];
    if (!isDictionary(settings) || path.includes(name)) return undefined;
    // Every file here is written in the background, so a buffer in front of it only passes on.
    const isBuffer = BUFFERS.test(text(settings['class']) ?? '');
    const target = isBuffer ? build(text(settings['target']) ?? '', [...path, name]) : undefined;
    if (isBuffer && target === undefined) throw new LogConfigError(`handlers.${name}: target names no handler`);
    const level = parseLevel(settings['level'] ?? 0);
    if (level === undefined) throw new LogConfigError(`handlers.${name}.level: ${JSON.stringify(settings['level'])} is no level`);
    const sink = target?.sink ?? sinkOf(name, settings, clock, warn);
    if (sink === undefined) return undefined;
    const formatter = text(settings['formatter']);
    if (formatter !== undefined && !formatters.has(formatter)) {
      throw new LogConfigError(`handlers.${name}.formatter: ${JSON.stringify(formatter)} names no formatter`);
    }
    const format = target?.format ?? formatters.get(formatter ?? '') ?? textFormatter('%(message)s');
    const handler: LogHandler = { level: Math.max(level, target?.level ?? 0), format, sink };
    handlers.set(name, handler);
    return handler;
  };
  for (const name of Object.keys(all)) build(name, []);
  return handlers;
};

const readLogger = (where: string, value: unknown, handlers: ReadonlyMap<string, LogHandler>): LoggerSettings => {
  const settings = dictionary(value);
  const level = settings['level'] === undefined ? undefined : parseLevel(settings['level']);
  if (settings['level'] !== undefined && level === undefined) {
    throw new LogConfigError(`${where}.level: ${JSON.stringify(settings['level'])} is no level`);
  }
  const names = Array.isArray(settings['handlers']) ? settings['handlers'].map(String) : [];
  const found = names.map((name) => {
    const handler = handlers.get(name);
    if (handler === undefined) throw new LogConfigError(`${where}.handlers: ${JSON.stringify(name)} names no handler`);
    return handler;
  });
  return { level: level === 0 ? undefined : level, handlers: found, propagate: settings['propagate'] !== false };
};

const KNOWN_KEYS = new Set(['version', 'formatters', 'handlers', 'filters', 'loggers', 'root', 'disable_existing_loggers', 'incremental']);

/**
 * Reads a Python logging dictionary in YAML, as Synapse's `log_config` names it.
 * @throws LogConfigError when it cannot be used: not YAML, a name without its definition, a level that is none.
 */
export const readLogConfig = (yaml: string, clock: Clock): LogSettings => {
  let document: unknown;
  try {
    document = parse(yaml);
  } catch (error) {
    throw new LogConfigError(`not YAML: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  if (document === null || document === undefined) return { ...defaultLogSettings(), warnings: ['the log configuration is empty'] };
  if (!isDictionary(document)) throw new LogConfigError('a dictionary is expected');
  if (document['structured'] === true) {
    throw new LogConfigError('"structured" was removed: name a formatter of class synapse.logging.TerseJsonFormatter instead');
  }
  const warnings = Object.keys(document).flatMap((key) => (KNOWN_KEYS.has(key) ? [] : [`${key} is not known`]));
  const warn: Warn = (sentence) => warnings.push(sentence);

  const formatters = new Map<string, Formatter>();
  for (const [name, value] of Object.entries(dictionary(document['formatters']))) formatters.set(name, formatterOf(name, value, warn));
  const handlers = readHandlers(dictionary(document['handlers']), formatters, clock, warn);
  const loggers = new Map<string, LoggerSettings>();
  for (const [name, value] of Object.entries(dictionary(document['loggers']))) {
    loggers.set(name, readLogger(`loggers.${name}`, value, handlers));
  }
  const root = readLogger('root', document['root'], handlers);
  return {
    rootLevel: root.level ?? 30,
    rootHandlers: root.handlers,
    loggers,
    sinks: [...new Set([...handlers.values()].map((handler) => handler.sink))],
    warnings,
  };
};
