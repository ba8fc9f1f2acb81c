import { existsSync, readFileSync } from 'node:fs';
import type { ClientConfig } from 'pg';
import { parseType } from '#src/platform/database/postgres/values.ts';

type Args = Readonly<Record<string, unknown>>;

const SOCKET_FOLDER = '/var/run/postgresql';

const text = (args: Args, ...names: string[]): string | undefined => {
  for (const name of names) {
    const value = args[name];
    if (typeof value === 'string' && value !== '') return value;
    if (typeof value === 'number') return String(value);
  }
  return undefined;
};

const file = (path: string | undefined): string | undefined => (path === undefined ? undefined : readFileSync(path, 'utf8'));

/** libpq's `sslmode` and certificates; `undefined` is plain text. */
const tls = (args: Args): ClientConfig['ssl'] => {
  const mode = text(args, 'sslmode') ?? 'prefer';
  if (mode === 'disable' || mode === 'allow') return undefined;
  const ca = file(text(args, 'sslrootcert'));
  const cert = file(text(args, 'sslcert'));
  const key = file(text(args, 'sslkey'));
  return {
    rejectUnauthorized: mode === 'verify-ca' || mode === 'verify-full',
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    // `verify-ca` trusts the authority whatever the server is called.
    ...(mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
  };
};

/** Whether `sslmode` leaves the choice to the server (libpq's default, `prefer`). */
export const prefersTls = (args: Args): boolean => (text(args, 'sslmode') ?? 'prefer') === 'prefer';

/** What `database.args` says in libpq's words, in those of the `pg` package. */
export const clientConfig = (args: Args, writer: string): ClientConfig => {
  const host = text(args, 'host', 'hostaddr') ?? process.env['PGHOST'] ?? (existsSync(SOCKET_FOLDER) ? SOCKET_FOLDER : 'localhost');
  const port = Number(text(args, 'port') ?? process.env['PGPORT'] ?? 5432);
  const user = text(args, 'user') ?? process.env['PGUSER'];
  const password = text(args, 'password') ?? process.env['PGPASSWORD'];
  const database = text(args, 'dbname', 'database') ?? process.env['PGDATABASE'];
  const options = text(args, 'options');
  const ssl = host.startsWith('/') ? undefined : tls(args);
  const connectTimeoutS = Number(text(args, 'connect_timeout') ?? 10);
  return {
    host,
    port,
    application_name: text(args, 'application_name') ?? `myelin ${writer}`,
    keepAlive: text(args, 'keepalives') !== '0',
    keepAliveInitialDelayMillis: Number(text(args, 'keepalives_idle') ?? 30) * 1000,
    connectionTimeoutMillis: connectTimeoutS * 1000,
    types: { getTypeParser: parseType },
    pipeline: true,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ...(database === undefined ? {} : { database }),
    ...(options === undefined ? {} : { options }),
    ...(ssl === undefined ? {} : { ssl }),
  };
};

/** How many connections reads may use. */
export const poolSize = (args: Args): number => Math.max(1, Number(text(args, 'cp_max') ?? 10));
