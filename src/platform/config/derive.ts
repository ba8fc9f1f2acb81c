import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { RateLimit } from '#src/platform/config/blocks.ts';
import type { Parsed } from '#src/platform/config/parsed.ts';
import type { Report } from '#src/platform/config/rules.ts';
import { databaseBlock } from '#src/platform/config/sections/database.ts';
import type { ListenerBlock, RESOURCES } from '#src/platform/config/sections/listeners.ts';

export type Resource = (typeof RESOURCES)[number];

/** Where the server listens, with everything filled in. */
export interface Listener {
  readonly type: 'http' | 'metrics' | 'manhole';
  /** Either a TCP port with its addresses, or the path of a unix socket. */
  readonly port: number | undefined;
  readonly bind_addresses: readonly string[];
  readonly path: string | undefined;
  /** Permissions of the unix socket. */
  readonly mode: number;
  readonly tls: boolean;
  readonly x_forwarded: boolean;
  readonly request_id_header: string | undefined;
  /** The listener's name in logs and metrics. */
  readonly tag: string;
  readonly resources: readonly { readonly names: readonly Resource[]; readonly compress: boolean }[];
}

type DatabaseConfig = Exclude<Parsed['database'], undefined>;
type Present = Exclude<Parsed['presence'], undefined>;

/** Keys whose value in use differs from the one in the file. */
export interface Derived {
  /** With a slash at the end; `https://<server_name>/` when nobody set it. */
  readonly public_baseurl: string;
  readonly public_baseurl_is_set: boolean;
  /** The folder of the last configuration file. */
  readonly config_directory: string;
  readonly signing_key_path: string;
  readonly media_store_path: string;
  readonly enable_registration: boolean;
  readonly allow_underscore_prefixed_localpart: boolean;
  /** The one database that is used. */
  readonly database: DatabaseConfig;
  /** All listeners, those of older keys included. */
  readonly listeners: readonly Listener[];
  readonly rc_message: RateLimit;
  readonly presence: Omit<Present, 'enabled'> & { readonly enabled: boolean | 'untracked' };
  readonly caches: Omit<Parsed['caches'], 'global_factor'> & { readonly global_factor: number };
}

/** The configuration: Synapse's own key names, durations in milliseconds, sizes in bytes, defaults filled in. */
export type Config = { readonly [Name in keyof Combined]: Combined[Name] };
type Combined = Omit<Parsed, keyof Derived> & Derived;

export interface Surroundings {
  readonly cwd: string;
  readonly configDirectory: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const complete = (written: ListenerBlock): Listener => {
  const addresses = written.bind_address === undefined ? written.bind_addresses : [...written.bind_addresses, written.bind_address];
  const everywhere = written.type === 'metrics' ? ['0.0.0.0'] : ['::', '0.0.0.0'];
  return {
    type: written.type,
    port: written.port,
    bind_addresses: written.path !== undefined ? [] : addresses.length > 0 ? addresses : everywhere,
    path: written.path,
    mode: written.mode,
    tls: written.tls,
    x_forwarded: written.x_forwarded ?? written.path !== undefined,
    request_id_header: written.request_id_header,
    tag: written.tag ?? String(written.port ?? written.path),
    resources: written.resources,
  };
};

const simple = (
  port: number,
  address: string,
  tls: boolean,
  resources: Listener['resources'],
  type: Listener['type'] = 'http',
): Listener => ({
  type,
  port,
  bind_addresses: address === '' ? ['::', '0.0.0.0'] : [address],
  path: undefined,
  mode: 0o666,
  tls,
  x_forwarded: false,
  request_id_header: undefined,
  tag: String(port),
  resources,
});

const deriveListeners = (parsed: Parsed): readonly Listener[] => {
  let listeners = parsed.listeners.map(complete);
  const { bind_port: bindPort, bind_host: host, metrics_port: metricsPort, manhole } = parsed;
  if (bindPort !== undefined) {
    const resources: Listener['resources'] = [
      { names: ['client'], compress: parsed.gzip_responses },
      { names: ['federation'], compress: false },
    ];
    const plainPort = parsed.unsecure_port ?? bindPort - 400;
    listeners = [simple(bindPort, host, true, resources), ...(plainPort > 0 ? [simple(plainPort, host, false, resources)] : [])];
  }
  if (parsed.no_tls) listeners = listeners.filter(({ tls }) => !tls);
  if (metricsPort !== undefined)
    listeners.push(simple(metricsPort, parsed.metrics_bind_host, false, [{ names: ['metrics'], compress: false }]));
  if (manhole !== undefined) listeners.push(simple(manhole, '127.0.0.1', false, [], 'manhole'));
  return listeners;
};

/** The database that holds `main`; `database_path` replaces the file of SQLite. */
const deriveDatabase = (parsed: Parsed, cwd: string): DatabaseConfig => {
  const holder = Object.values(parsed.databases ?? {}).find(({ data_stores: stores }) => stores.includes('main'));
  const chosen = parsed.database ?? holder ?? databaseBlock.unset;
  if (chosen.name === 'psycopg2') return chosen;
  const file = parsed.database_path ?? chosen.args.database ?? chosen.args.dbname;
  return { ...chosen, args: { ...chosen.args, database: file === undefined || file === ':memory:' ? file : resolve(cwd, file) } };
};

const INLINE_SECRETS = [
  'registration_shared_secret',
  'macaroon_secret_key',
  'form_secret',
  'turn_shared_secret',
  'worker_replication_secret',
  'recaptcha_public_key',
  'recaptcha_private_key',
] as const;

type InlineSecret = (typeof INLINE_SECRETS)[number];

/** Secrets that are given as files; their content without white space around it. */
const readSecrets = (parsed: Parsed, report: Report): Partial<Record<InlineSecret, string>> => {
  const secrets: Partial<Record<InlineSecret, string>> = {};
  for (const name of INLINE_SECRETS) {
    const path = parsed[`${name}_path`];
    if (path === undefined) continue;
    try {
      secrets[name] = readFileSync(path, 'utf8').trim();
    } catch (error) {
      report.at(`${name}_path`).refuse(`cannot be read: ${(error as Error).message}`);
    }
  }
  return secrets;
};

const checkFolders = (parsed: Parsed, report: Report): void => {
  const folders = [
    ['templates.custom_template_directory', parsed.templates.custom_template_directory],
    ['user_consent.template_dir', parsed.user_consent?.template_dir],
  ] as const;
  for (const [name, path] of folders) {
    if (path !== undefined && statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true)
      report.at(name).refuse(`${path} is not a folder`);
  }
};

const deriveCaches = (parsed: Parsed, report: Report, env: Surroundings['env']): Derived['caches'] => {
  const fromEnvironment = env['SYNAPSE_CACHE_FACTOR'];
  const factor = parsed.caches.global_factor ?? Number(fromEnvironment ?? 0.5);
  if (!(factor >= 0)) report.at('caches.global_factor').refuse(`SYNAPSE_CACHE_FACTOR is ${String(fromEnvironment)}; must be a number`);
  return { ...parsed.caches, global_factor: factor, cache_entry_ttl: parsed.caches.expiry_time ?? parsed.caches.cache_entry_ttl };
};

/** The values that the program works with: paths absolute, older keys folded into today's, secrets read from their files. */
export const derive = (parsed: Parsed, report: Report, { cwd, configDirectory, env }: Surroundings): Config => {
  checkFolders(parsed, report);
  const base = parsed.public_baseurl ?? `https://${parsed.server_name}/`;
  const perSecond = parsed.rc_messages_per_second;
  const burst = parsed.rc_message_burst_count;
  return {
    ...parsed,
    ...readSecrets(parsed, report),
    public_baseurl: base.endsWith('/') ? base : `${base}/`,
    public_baseurl_is_set: parsed.public_baseurl !== undefined,
    config_directory: configDirectory,
    signing_key_path: parsed.signing_key_path ?? join(configDirectory, `${parsed.server_name}.signing.key`),
    media_store_path: parsed.media_store_path ?? join(cwd, 'media_store'),
    enable_registration: parsed.disable_registration === undefined ? parsed.enable_registration : !parsed.disable_registration,
    allow_underscore_prefixed_localpart: parsed.allow_underscore_prefixed_localpart || parsed.allow_underscore_prefixed_registration,
    database: deriveDatabase(parsed, cwd),
    listeners: deriveListeners(parsed),
    rc_message: report.isSet('rc_message')
      ? parsed.rc_message
      : { per_second: perSecond ?? parsed.rc_message.per_second, burst_count: burst ?? parsed.rc_message.burst_count },
    presence: { ...parsed.presence, enabled: parsed.presence.enabled ?? parsed.use_presence },
    caches: deriveCaches(parsed, report, env),
  };
};
