import type { Clock } from '#src/platform/clock.ts';
import { defaultLogSettings, readLogConfig } from './config.ts';
import type { LogHandler, LogSettings } from './config.ts';
import { currentLogContext } from './context.ts';
import { DEBUG, parseLevel, textFormatter } from './format.ts';
import type { PythonLevel } from './format.ts';
import { createLogger } from './logger.ts';
import type { Entry, Logger } from './logger.ts';
import type { Sink } from './sinks.ts';

export { LogConfigError } from './config.ts';
export { currentUsage, newUsage, withLogContext } from './context.ts';
export type { LogContext, Usage } from './context.ts';
export { silentLogger } from './logger.ts';
export type { Logger } from './logger.ts';

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

  const write = (name: string, entry: Entry): void => {
    const record = { ...entry, name, timeMs: clock.now(), context: currentLogContext() };
    for (const handler of plan(name).handlers) if (entry.level >= handler.level) handler.sink.write(handler.format(record));
  };
  const make = (name: string): Logger =>
    createLogger({
      get level() {
        return plan(name).level;
      },
      write: (entry) => write(name, entry),
    });
  const get = (name: string): Logger => named.getOrInsertComputed(name, make);
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
