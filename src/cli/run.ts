import { readArguments, type Arguments } from '#src/cli/arguments.ts';
import { helpText, type Command } from '#src/cli/command.ts';
import { UsageError, type Io } from '#src/cli/io.ts';
import { firstSteps, prepareFirstSteps } from '#src/cli/first-steps.ts';
import { generateConfig, loadWithSideFiles } from '#src/cli/generate.ts';
import { serve } from '#src/cli/serve.ts';
import { ConfigError, loadConfig, type LoadedConfig } from '#src/platform/config/index.ts';

const options = {
  'config-path': {
    type: 'string',
    short: 'c',
    multiple: true,
    value: 'FILE',
    help: 'A configuration file, or a folder with *.yaml files. May be repeated; later ones win.',
  },
  'generate-config': {
    type: 'boolean',
    help: 'Write a new configuration and what belongs to it, then end. Needs --server-name and --report-stats.',
  },
  'generate-keys': { type: 'boolean', help: 'Make the files that the configuration names and that are missing, then end.' },
  'generate-missing-configs': { type: 'boolean', help: 'The same.' },
  'generate-missing-and-run': { type: 'boolean', help: 'Make missing files, then run; this is done anyway.' },
  'server-name': { type: 'string', short: 'H', value: 'NAME', help: 'The domain in user ids, for a new configuration.' },
  'report-stats': { type: 'string', value: 'yes|no', help: 'Whether anonymous statistics may be sent, for a new configuration.' },
  'config-directory': { type: 'string', value: 'DIR', help: 'Where keys and the like lie; by default beside the last configuration file.' },
  'keys-directory': { type: 'string', value: 'DIR', help: 'The same.' },
  'data-directory': { type: 'string', value: 'DIR', help: 'Where database and media go, for a new configuration; by default here.' },
  'open-private-ports': { type: 'boolean', help: 'Listen on all addresses, for a new configuration.' },
  'database-path': { type: 'string', short: 'd', value: 'PATH', help: 'The SQLite file.' },
  'enable-registration': { type: 'boolean', help: 'Let people register.' },
  daemonize: { type: 'boolean', short: 'D', help: 'Not supported: the service manager looks after the background.' },
  'print-pidfile': { type: 'boolean', help: 'Print the path of the pid file first.' },
  manhole: { type: 'string', value: 'PORT', help: 'Accepted; there is no debugging console.' },
  'no-redirect-stdio': { type: 'boolean', short: 'n', help: 'Accepted; standard output is never redirected.' },
  'log-file': { type: 'string', short: 'f', value: 'FILE', help: 'Refused, as by Synapse: use log_config.' },
} as const;

type RunOptions = Arguments<typeof options>['options'];

const parseYesNo = (word: string): boolean => {
  if (word === 'yes' || word === 'no') return word === 'yes';
  throw new UsageError(`--report-stats must be yes or no, not ${word}`);
};

/** What the command line says that a file could say as well. */
const overridesOf = (given: RunOptions): Record<string, unknown> => ({
  ...(given['database-path'] === undefined ? {} : { database_path: given['database-path'] }),
  ...(given['enable-registration'] === true ? { enable_registration: true } : {}),
});

const checkUse = (given: RunOptions): void => {
  if (given['log-file'] !== undefined)
    throw new ConfigError(['--log-file was removed from Synapse; set log_config in the configuration, and name the file in there']);
  if (given.daemonize === true)
    throw new UsageError('--daemonize is not supported: run it in the foreground and let the service manager look after it');
  const generates = given['generate-config'] === true || given['generate-keys'] === true || given['generate-missing-configs'] === true;
  if (generates && given['config-path'] === undefined) throw new UsageError('name the configuration file with --config-path');
};

/** Reads the configuration, at the start and at each SIGHUP. */
const reader = (paths: readonly string[], given: RunOptions, io: Io) => (): LoadedConfig =>
  loadConfig({ paths }, { cwd: io.cwd, env: io.env, overrides: overridesOf(given), ...directoryOf(given) });

const directoryOf = (given: RunOptions): { readonly configDirectory?: string } => {
  const directory = given['config-directory'] ?? given['keys-directory'];
  return directory === undefined ? {} : { configDirectory: directory };
};

const runServer = async (args: readonly string[], io: Io): Promise<number> => {
  const { options: given } = readArguments(args, options);
  checkUse(given);
  const reportStats = given['report-stats'] === undefined ? undefined : parseYesNo(given['report-stats']);
  if (given['generate-config'] === true) {
    return generateConfig(
      {
        paths: given['config-path'] ?? [],
        serverName: given['server-name'],
        reportStats,
        configDirectory: given['config-directory'] ?? given['keys-directory'],
        dataDirectory: given['data-directory'],
        openPorts: given['open-private-ports'] === true,
      },
      io,
    );
  }
  const isFirstSteps = given['config-path'] === undefined;
  const paths = given['config-path'] ?? [prepareFirstSteps(given['server-name'], io)];
  const load = reader(paths, given, io);
  const loaded = loadWithSideFiles(paths, load, io);
  if (given['generate-keys'] === true || given['generate-missing-configs'] === true) return 0;
  if (given['print-pidfile'] === true) io.print(loaded.config.pid_file ?? '');
  return serve({ loaded, load, io, onStarted: isFirstSteps ? firstSteps(loaded.config, io) : undefined });
};

export const run: Command = {
  help: helpText(
    '[run] [OPTIONS]',
    'Runs the homeserver in the foreground, until SIGTERM or SIGINT. SIGHUP reads the configuration again.\n' +
      'Without --config-path it uses the folder ./data, and makes everything in it at the first start.',
    options,
  ),
  run: runServer,
};
