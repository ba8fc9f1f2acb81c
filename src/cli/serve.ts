import { readFileSync } from 'node:fs';
import { openDoor, type Door, type Homeserver } from '#src/cli/door.ts';
import { CommandError, type Io } from '#src/cli/io.ts';
import { createServiceManager } from '#src/cli/service-manager.ts';
import { systemClock } from '#src/platform/clock.ts';
import { ConfigError, type LoadedConfig } from '#src/platform/config/index.ts';
import { DatabaseError } from '#src/platform/database/errors.ts';
import type { Logger, Logging } from '#src/platform/logging/index.ts';

export interface ServeOptions {
  readonly loaded: LoadedConfig;
  /** Reads the configuration again. @throws ConfigError */
  readonly load: () => LoadedConfig;
  readonly io: Io;
  readonly onStarted: ((homeserver: Homeserver) => Promise<void>) | undefined;
  /** Where signals arrive; the process, except in tests. */
  readonly signals?: NodeJS.EventEmitter;
}

/** What is worth knowing about a configuration that works. */
const report = (loaded: LoadedConfig, logger: Logger): void => {
  for (const warning of loaded.warnings) logger.warn(warning);
  if (loaded.notActedOn.length > 0) logger.warn(`These keys are known, but have no effect yet: ${loaded.notActedOn.join(', ')}`);
};

const readLogConfig = ({ config }: LoadedConfig): string | undefined => {
  if (config.log_config === undefined) return undefined;
  try {
    return readFileSync(config.log_config, 'utf8');
  } catch (error) {
    throw new ConfigError([`log_config: cannot be read: ${(error as Error).message}`]);
  }
};

/** Waits for the process to be asked to end; a second request ends it at once. */
const listenForEnd = (signals: NodeJS.EventEmitter): { readonly asked: Promise<void>; stopListening(): void } => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let isAsked = false;
  const onSignal = (): void => {
    if (isAsked) process.exit(1);
    isAsked = true;
    resolve();
  };
  signals.on('SIGTERM', onSignal);
  signals.on('SIGINT', onSignal);
  return { asked: promise, stopListening: () => signals.off('SIGTERM', onSignal).off('SIGINT', onSignal) };
};

/** Takes over a changed configuration; one with faults changes nothing. */
const reload = async (options: ServeOptions, homeserver: Homeserver, logging: Logging, logger: Logger): Promise<void> => {
  try {
    const loaded = options.load();
    logging.reload(readLogConfig(loaded));
    await homeserver.reload(loaded.config);
    report(loaded, logger);
    logger.info('The configuration was read again');
  } catch (error) {
    const faults = error instanceof ConfigError ? error.faults : [(error as Error).message];
    logger.error(`The configuration stays as it was, because the new one is wrong: ${faults.join('; ')}`);
  }
};

/** Failures whose message says it all: those of the database, and those of the operating system. */
const isExpected = (error: unknown): boolean =>
  error instanceof DatabaseError ||
  (error instanceof Error && ('syscall' in error || (error.cause !== undefined && isExpected(error.cause))));

/** Runs the homeserver in the foreground until a signal ends it; resolves to the exit code. */
export const serve = async (options: ServeOptions, open: () => Promise<Door> = openDoor): Promise<number> => {
  const { loaded, io, onStarted, signals = process } = options;
  const [{ createLogging, LogConfigError }, { createHost }, { startHomeserver }] = await Promise.all([
    import('#src/platform/logging/index.ts'),
    import('#src/platform/host.ts'),
    open(),
  ]);
  let logging: Logging;
  try {
    logging = createLogging({ clock: systemClock, yaml: readLogConfig(loaded) });
  } catch (error) {
    if (error instanceof LogConfigError) throw new ConfigError([`log_config: ${error.message}`]);
    throw error;
  }
  const logger = logging.named('synapse.app.homeserver');
  report(loaded, logger);
  const manager = createServiceManager(io.env, (message) => logger.warn(message));
  const host = createHost({ clock: systemClock, logging });
  const end = listenForEnd(signals);
  try {
    const homeserver = await startHomeserver(loaded.config, host);
    let work = Promise.resolve();
    const takeOver = async (earlier: Promise<void>): Promise<void> => {
      await earlier;
      await manager.reloading();
      await reload(options, homeserver, logging, logger);
      await manager.ready();
    };
    // One after the other, however fast they come.
    const onHangUp = (): void => {
      work = takeOver(work);
    };
    signals.on('SIGHUP', onHangUp);
    await onStarted?.(homeserver);
    await manager.ready();
    await end.asked;
    signals.off('SIGHUP', onHangUp);
    await manager.stopping();
    await work;
    await homeserver.stop();
    return 0;
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const { message } = error as Error;
    // A stack tells the operator nothing about a full disk or a port that is taken.
    logger.fatal(isExpected(error) ? message : error);
    throw new CommandError(`The homeserver could not run: ${message}`);
  } finally {
    await host.close();
    logging.flush();
    await logging.close();
    end.stopListening();
  }
};
