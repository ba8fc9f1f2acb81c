import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Homeserver } from '#src/cli/door.ts';
import { defaultConfigPath } from '#src/cli/generate.ts';
import { UsageError, type Io } from '#src/cli/io.ts';
import { isServerName } from '#src/platform/config/formats.ts';
import { writeConfig } from '#src/platform/config/generate.ts';
import { loadConfig, type Config } from '#src/platform/config/index.ts';
import { systemRandom } from '#src/platform/random.ts';

/**
 * Makes `data/homeserver.yaml` unless it is there; everything else in the folder follows from it.
 * @returns its path
 */
export const prepareFirstSteps = (serverName: string | undefined, io: Io): string => {
  const path = defaultConfigPath(io.cwd);
  if (existsSync(path)) {
    const { config } = loadConfig({ paths: [path] }, { cwd: io.cwd, env: io.env });
    if (serverName !== undefined && serverName !== config.server_name) {
      throw new UsageError(
        `${path} is for the server name ${config.server_name}, which cannot be changed; start from another folder for ${serverName}`,
      );
    }
    return path;
  }
  const name = serverName ?? 'localhost';
  if (!isServerName(name)) throw new UsageError(`--server-name must be a host name or IP address, perhaps with a port, not ${name}`);
  const directory = dirname(path);
  writeConfig(
    path,
    { serverName: name, reportStats: false, configDirectory: directory, dataDirectory: directory, firstSteps: true },
    systemRandom,
  );
  return path;
};

/** Tells a newcomer what to do next; at the very first start with a token to register with. */
export const firstSteps = (config: Config, io: Io): ((homeserver: Homeserver) => Promise<void>) => {
  // Not the database's file: a first start that failed half-way has made that already, and told nobody anything.
  const marker = join(config.config_directory, '.welcomed');
  return async (homeserver) => {
    io.print('');
    io.print(`Myelin runs as ${config.server_name}, and keeps everything in ${config.config_directory}.`);
    io.print('');
    io.print(`  Point a Matrix client at  ${homeserver.urls[0] ?? config.public_baseurl}`);
    io.print('  Make the first admin      bin/myelin register-user --admin');
    if (!existsSync(marker)) {
      io.print(`  Register one account      with the token ${await homeserver.createRegistrationToken(1)} (shown this once)`);
      writeFileSync(marker, '');
    }
    io.print('  Stop                      Ctrl+C');
    io.print('');
  };
};
