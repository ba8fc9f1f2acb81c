import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { UsageError, type Io } from '#src/cli/io.ts';
import { isServerName } from '#src/platform/config/formats.ts';
import { createMissingFiles, createMissingSecret, writeConfig } from '#src/platform/config/generate.ts';
import { ConfigError, loadConfig, type LoadedConfig } from '#src/platform/config/index.ts';
import { systemRandom } from '#src/platform/random.ts';

export interface GenerateOptions {
  readonly paths: readonly string[];
  readonly serverName: string | undefined;
  readonly reportStats: boolean | undefined;
  readonly configDirectory: string | undefined;
  readonly dataDirectory: string | undefined;
  readonly openPorts: boolean;
}

/** Loads the configuration after making the files that it names and that are missing, as Synapse does at each start. */
export const loadWithSideFiles = (paths: readonly string[], load: () => LoadedConfig, io: Io): LoadedConfig => {
  const made = createMissingSecret(paths, io.cwd, systemRandom);
  const loaded = load();
  for (const line of [...made, ...createMissingFiles(loaded.config, io.cwd, systemRandom)]) io.print(line);
  return loaded;
};

/** `--generate-config`: writes homeserver.yaml unless it is there, and what belongs to it. */
export const generateConfig = (options: GenerateOptions, io: Io): Promise<number> => {
  const [path, ...more] = options.paths;
  if (path === undefined || more.length > 0) throw new UsageError('--generate-config needs exactly one --config-path: the file to write');
  const file = resolve(io.cwd, path);
  if (existsSync(file)) {
    io.print(`${file} exists and stays as it is; only missing files beside it are made.`);
  } else {
    const { serverName, reportStats } = options;
    if (reportStats === undefined) {
      throw new UsageError(
        'decide whether anonymous statistics may be sent, with --report-stats=yes or --report-stats=no; it can be changed in the configuration later',
      );
    }
    if (serverName === undefined) throw new ConfigError(['server_name: is missing; name the domain in all user ids with --server-name']);
    if (!isServerName(serverName))
      throw new ConfigError([`server_name: found ${JSON.stringify(serverName)}; must be a host name or IP address, perhaps with a port`]);
    const configDirectory = resolve(io.cwd, options.configDirectory ?? dirname(file));
    const dataDirectory = resolve(io.cwd, options.dataDirectory ?? '.');
    writeConfig(file, { serverName, reportStats, configDirectory, dataDirectory, openPorts: options.openPorts }, systemRandom);
    io.print(`The configuration ${file} was created. Read through it, and change it to your liking.`);
  }
  const directory = options.configDirectory === undefined ? {} : { configDirectory: options.configDirectory };
  loadWithSideFiles([file], () => loadConfig({ paths: [file] }, { cwd: io.cwd, env: io.env, ...directory }), io);
  return Promise.resolve(0);
};

/** Where the configuration is when nobody says so. */
export const defaultConfigPath = (cwd: string): string => join(cwd, 'data', 'homeserver.yaml');
