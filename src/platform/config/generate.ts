import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Config } from '#src/platform/config/derive.ts';
import { readFiles } from '#src/platform/config/files.ts';
import { ensureSigningKeyFile } from '#src/platform/config/signing-keys.ts';
import type { Random } from '#src/platform/random.ts';

const SYMBOLS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.,;:^&*-_+=#~@';

export interface NewConfig {
  readonly serverName: string;
  readonly configDirectory: string;
  readonly dataDirectory: string;
  readonly reportStats: boolean;
  /** Listen on all addresses, and not on localhost only. */
  readonly openPorts?: boolean;
  /** For the first steps: reached without a reverse proxy, people register with a token, logs go to the console. */
  readonly firstSteps?: boolean;
}

/** Text as YAML in quotes, whatever is in it. */
const quote = (text: string): string => JSON.stringify(text);

/** As Synapse chooses it: 8008, or 400 below the port of the server name. */
export const listenerPort = (serverName: string): number => {
  const port = /:(\d+)$/u.exec(serverName)?.[1];
  return port === undefined ? 8008 : Math.max(Number(port) - 400, 1);
};

const listeners = ({ serverName, openPorts, firstSteps }: NewConfig): string => `\
# Where the server listens. Put a reverse proxy with TLS in front of it before others use it.
listeners:
  - port: ${String(listenerPort(serverName))}
    tls: false
    type: http
    x_forwarded: ${String(firstSteps !== true)}
${openPorts === true ? '' : `    bind_addresses: ['::1', '127.0.0.1']\n`}    resources:
      - names: [client, federation]
        compress: false
`;

/** The text of a new homeserver.yaml, with secrets of its own. */
export const configText = (options: NewConfig, random: Random): string => {
  const { serverName, configDirectory, dataDirectory, reportStats, firstSteps = false } = options;
  const secret = (): string => quote(random.string(50, SYMBOLS));
  const inData = (name: string): string => quote(join(dataDirectory, name));
  const inConfig = (name: string): string => quote(join(configDirectory, `${serverName}.${name}`));
  const parts = [
    `\
# Configuration of a Matrix homeserver. Synapse reads the same format.
# All keys, with their defaults, are described in docs/configuration.md.
#
# Durations are numbers of milliseconds, or numbers with s, m, h, d, w or y: 5m, 24h, 7d.
# Sizes are numbers of bytes, or numbers with K or M: 512K, 50M.
# Strings in quotes may hold anything; quote whatever has a colon or a hash in it.
`,
    `\
# The domain in all user ids. It cannot be changed later.
server_name: ${quote(serverName)}
`,
    ...(firstSteps
      ? [
          `# The address under which clients reach the server.\npublic_baseurl: ${quote(`http://localhost:${String(listenerPort(serverName))}/`)}\n`,
        ]
      : [`pid_file: ${inData('homeserver.pid')}\n`]),
    listeners(options),
    `\
# Where everything is stored: in one SQLite file, or in PostgreSQL:
#   name: psycopg2
#   args: {user: synapse, password: secret, dbname: synapse, host: localhost, cp_max: 10}
database:
  name: sqlite3
  args:
    database: ${inData('homeserver.db')}
`,
    ...(firstSteps ? [] : [`log_config: ${inConfig('log.config')}\n`]),
    `media_store_path: ${inData('media_store')}\n`,
    ...(firstSteps
      ? ['# Who has a token from an administrator can make an account.\nenable_registration: true\nregistration_requires_token: true\n']
      : []),
    `\
# Who knows this secret can make accounts, those of administrators too.
registration_shared_secret: ${secret()}
`,
    `\
# Whether anonymous statistics may be sent.
report_stats: ${String(reportStats)}
`,
    `\
# Secrets that sign tokens and links.
macaroon_secret_key: ${secret()}
form_secret: ${secret()}
`,
    `\
# The key that signs everything this server says to others. Keep a copy of this file.
signing_key_path: ${inConfig('signing.key')}
`,
    `\
# Who is asked for the keys of other servers.
trusted_key_servers:
  - server_name: "matrix.org"
`,
    '# vim:ft=yaml\n',
  ];
  return parts.join('\n');
};

/** The text of a new file for `log_config`: a file that rotates at midnight, written in batches. */
export const logConfigText = (logFile: string): string => `\
# What is logged where, in the format of Python's logging.config.
version: 1

formatters:
  precise:
    format: '%(asctime)s - %(name)s - %(lineno)d - %(levelname)s - %(request)s - %(message)s'

handlers:
  file:
    class: logging.handlers.TimedRotatingFileHandler
    formatter: precise
    filename: ${quote(logFile)}
    when: midnight
    backupCount: 3
    encoding: utf8

  # Holds records back until there are enough of them, or one is an error.
  buffer:
    class: synapse.logging.handlers.PeriodicallyFlushingMemoryHandler
    target: file
    capacity: 10
    flushLevel: 30
    period: 5

  # For the first steps, or where the service manager keeps the log.
  console:
    class: logging.StreamHandler
    formatter: precise

loggers:
  synapse.storage.SQL:
    # DEBUG would show everything that is stored, access tokens included.
    level: INFO

root:
  level: INFO
  handlers: [buffer]

disable_existing_loggers: false
`;

/** Writes a file that does not exist yet. */
const create = (path: string, text: string, mode = 0o644): void => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { flag: 'wx', mode });
};

/** Writes homeserver.yaml; nobody but its owner can read the secrets in it. */
export const writeConfig = (path: string, options: NewConfig, random: Random): void => create(path, configText(options, random), 0o600);

/**
 * Makes the files that a configuration refers to and that are missing: the signing key, the log configuration, the registration secret.
 * @returns a sentence for each of them.
 */
export const createMissingFiles = (config: Config, logDirectory: string, random: Random): readonly string[] => {
  const made: string[] = [];
  const key = ensureSigningKeyFile(config, random);
  if (key !== undefined) made.push(`The signing key ${config.signing_key_path} was ${key}.`);
  if (config.log_config !== undefined && !existsSync(config.log_config)) {
    create(config.log_config, logConfigText(join(logDirectory, 'homeserver.log')));
    made.push(`The log configuration ${config.log_config} was created.`);
  }
  return made;
};

/**
 * Makes the file of `registration_shared_secret_path`, without which the configuration cannot be loaded.
 * @returns a sentence if there was something to do.
 */
export const createMissingSecret = (paths: readonly string[], cwd: string, random: Random): readonly string[] => {
  const written = readFiles(paths, cwd, { faults: [], warnings: [], notActedOn: new Set() }).values['registration_shared_secret_path'];
  if (typeof written !== 'string' || existsSync(resolve(cwd, written))) return [];
  const path = resolve(cwd, written);
  create(path, `${random.string(50, SYMBOLS)}\n`, 0o600);
  return [`The registration secret ${path} was created.`];
};
