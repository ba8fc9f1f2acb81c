import pino from 'pino';
import type { Logger as PinoLogger } from 'pino';
import type { Clock } from '#src/platform/clock.ts';
import { defaultLogSettings, readLogConfig } from './config.ts';
import type { LogHandler, LogSettings } from './config.ts';
import { currentLogContext } from './context.ts';
import { DEBUG, parseLevel } from './format.ts';
import type { LogRecord, PythonLevel } from './format.ts';
import { textFormatter } from './format.ts';
import type { Sink } from './sinks.ts';

export { LogConfigError } from './config.ts';
export { currentLogContext, currentUsage, newUsage, withLogContext } from './context.ts';
export type { LogContext, Usage } from './context.ts';

/** A pino logger: `logger.info({ roomNum, tookMs }, 'Sentence')`; `err` holds an error. */
export type Logger = PinoLogger;

export interface Logging {
  /** The logger of this name, in the hierarchy that `log_config` speaks of (`synapse.storage.SQL`, `synapse.access.http.8008`). */
  named(name: string): Logger;
  /** Takes new settings; levels follow in all named loggers. Faults leave everything as it was and throw `LogConfigError`. */
  reload(yaml: string | undefined): void;
  /** Writes out what is waiting, at once: for the last words before a crash. */
  flush(): void;
  /** Writes out what is waiting and closes the files. */
  close(): Promise<void>;
}

// pino counts in Python's steps, ten further up.
const toPino = (level: PythonLevel): number => level + 10;
const fromPino = (level: number): PythonLevel => level - 10;

const pinoLevelName = (level: PythonLevel): string => {
  const least = toPino(Math.max(level, DEBUG - 10));
  return Object.entries(pino.levels.values).find(([, value]) => value >= least)?.[0] ?? 'silent';
};

interface Plan {
  readonly level: PythonLevel;
  readonly handlers: readonly LogHandler[];
}

/** Level and handlers of a name: its own, then those of the names above it. */
const planFor = (settings: LogSettings, name: string): Plan => {
  const handlers: LogHandler[] = [];
  let level: PythonLevel | undefined;
  let rest = name;
  let reachesRoot = true;
  while (rest !== '') {
    const own = settings.loggers.get(rest);
    if (own !== undefined) {
      level ??= own.level;
      handlers.push(...(reachesRoot ? own.handlers : []));
      reachesRoot = reachesRoot && own.propagate;
    }
    rest = rest.slice(0, Math.max(0, rest.lastIndexOf('.')));
  }
  if (reachesRoot) handlers.push(...settings.rootHandlers);
  return { level: level ?? settings.rootLevel, handlers };
};

interface Origin {
  readonly name: string;
  readonly bindings: Readonly<Record<string, unknown>>;
}

const NO_FIELDS: Readonly<Record<string, unknown>> = {};

/** pino hands a stream that asks for it the logged object beside the text, which spares parsing the text again. */
interface MetadataStream {
  lastLevel: number;
  lastObj: unknown;
  lastMsg: string | undefined;
  lastLogger: Logger;
  write(text: string): void;
}

/**
 * Logs by Synapse's `log_config` (a Python logging dictionary), or one line of text a record to standard error without one.
 * Lines are written in the background; `sink` replaces all destinations, for tests.
 * @throws LogConfigError
 */
export const createLogging = (options: { clock: Clock; yaml?: string | undefined; sink?: Sink; level?: string }): Logging => {
  const { clock } = options;
  const load = (yaml: string | undefined): LogSettings => {
    if (options.sink !== undefined) {
      const handler: LogHandler = { level: 0, format: textFormatter(), sink: options.sink };
      const rootLevel = parseLevel(options.level ?? 'info') ?? DEBUG;
      return { rootLevel, rootHandlers: [handler], loggers: new Map(), sinks: [options.sink], warnings: [] };
    }
    return yaml === undefined ? defaultLogSettings() : readLogConfig(yaml, clock);
  };

  let settings = load(options.yaml);
  const plans = new Map<string, Plan>();
  const plan = (name: string): Plan => plans.getOrInsertComputed(name, () => planFor(settings, name));
  const named = new Map<string, Logger>();
  const origins = new WeakMap<Logger, Origin>();
  const originOf = (logger: Logger): Origin => {
    const known = origins.get(logger);
    if (known !== undefined) return known;
    const { name, ...bindings } = logger.bindings();
    const origin: Origin = { name: typeof name === 'string' ? name : 'root', bindings };
    origins.set(logger, origin);
    return origin;
  };

  const stream = {
    [Symbol.for('pino.metadata')]: true,
    write(this: MetadataStream): void {
      const origin = originOf(this.lastLogger);
      const { level, handlers } = plan(origin.name);
      const rank = fromPino(this.lastLevel);
      if (rank < level) return;
      const record = recordOf(origin, rank, this.lastObj, this.lastMsg, clock);
      for (const handler of handlers) if (rank >= handler.level) handler.sink.write(handler.format(record));
    },
  };
  const base = pino({ base: null, level: 'trace', timestamp: false }, stream);

  const get = (name: string): Logger =>
    named.getOrInsertComputed(name, () => base.child({ name }, { level: pinoLevelName(plan(name).level) }));
  const warnAbout = (): void => {
    for (const warning of settings.warnings) get('synapse.config.logger').warn(`log_config: ${warning}`);
  };
  warnAbout();

  return {
    named: get,
    reload: (yaml) => {
      const next = load(yaml);
      const old = settings;
      settings = next;
      plans.clear();
      for (const [name, logger] of named) logger.level = pinoLevelName(plan(name).level);
      for (const sink of old.sinks) if (!next.sinks.includes(sink)) void sink.close();
      warnAbout();
    },
    flush: () => {
      for (const sink of settings.sinks) sink.flush();
    },
    close: async () => {
      await Promise.all(settings.sinks.map(async (sink) => sink.close()));
    },
  };
};

/** `logger.error(error)`, `logger.error({ err: error, … })` and `logger.info({ … })` in one shape. */
const takeError = (given: unknown): { error: Error | undefined; fields: Readonly<Record<string, unknown>> } => {
  if (given instanceof Error) return { error: given, fields: NO_FIELDS };
  if (typeof given !== 'object' || given === null) return { error: undefined, fields: NO_FIELDS };
  const object = given as Readonly<Record<string, unknown>>;
  if (!(object['err'] instanceof Error)) return { error: undefined, fields: object };
  const { err, ...fields } = object;
  return { error: err, fields };
};

const recordOf = (origin: Origin, level: PythonLevel, object: unknown, message: string | undefined, clock: Clock): LogRecord => {
  const { error, fields } = takeError(object);
  const hasBindings = Object.keys(origin.bindings).length > 0;
  return {
    timeMs: clock.now(),
    name: origin.name,
    level,
    message: message ?? error?.message ?? '',
    fields: hasBindings ? { ...origin.bindings, ...fields } : fields,
    error,
    context: currentLogContext(),
  };
};
