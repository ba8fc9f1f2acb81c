import { block, list, mapOf, openBlock, optional } from '#src/platform/config/blocks.ts';
import { boolean, integer, key, oneOf, path, string, text } from '#src/platform/config/kinds.ts';
import type { Rules } from '#src/platform/config/rules.ts';

const STORES = ['main', 'state'] as const;

const args = openBlock({
  database: key(string(), 'The SQLite file (or `:memory:`), or the name of the PostgreSQL database.'),
  dbname: key(string(), 'Another name of `database`, for PostgreSQL.'),
  user: key(string(), 'The PostgreSQL user.'),
  password: key(text(), 'The password of the PostgreSQL user.'),
  host: key(string(), 'The host of PostgreSQL, or the folder of its unix socket.'),
  port: key(integer(5432, { min: 1, max: 65_535 }), 'The port of PostgreSQL.'),
  sslmode: key(oneOf(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']), 'Whether to speak TLS with PostgreSQL.'),
  sslrootcert: key(path(), 'The authority that signed the certificate of PostgreSQL.'),
  sslcert: key(path(), 'The certificate to show to PostgreSQL.'),
  sslkey: key(path(), 'Its private key.'),
  keepalives_idle: key(integer(), 'Seconds of silence before PostgreSQL is asked whether it is still there.'),
  application_name: key(string(), 'How the connections are called in PostgreSQL.'),
  cp_min: key(integer(3), 'How many connections are kept at least.'),
  cp_max: key(integer(5, { min: 1 }), 'How many connections there are at most.'),
});

export const databaseBlock = block({
  name: key(oneOf(['sqlite3', 'psycopg2'], 'sqlite3'), 'The engine: `sqlite3`, or `psycopg2` for PostgreSQL.', { acts: true }),
  args: key(args, 'How to connect. Other libpq keywords are passed on.', { acts: true }),
  txn_limit: key(integer(0), 'After how many transactions a connection is replaced; 0 for never.'),
  allow_unsafe_locale: key(
    boolean(false),
    'Whether to start although PostgreSQL sorts in another locale than C, which can corrupt indices when the system is upgraded.',
    { acts: true },
  ),
  synchronous_commit: key(
    boolean(true),
    'Whether a write counts only when PostgreSQL has it on disk, also where the server itself is set up to confirm earlier. Turning it off loses acknowledged messages in a crash.',
    { acts: true },
  ),
  data_stores: key(list({ ...oneOf(STORES) }, STORES), 'Which of `main` and `state` lie here. Myelin keeps both in one database.', {
    acts: true,
  }),
});

export const databaseKeys = {
  database: key(optional(databaseBlock), 'Where everything is stored.'),
  databases: key(
    optional(mapOf(databaseBlock)),
    'Several databases by name, instead of `database`. Together they must hold `main` and `state`; Myelin uses the one with `main`.',
  ),
  database_path: key(string(), 'The SQLite file, from before there was `database`. Also set by `--database-path`.', { acts: true }),
} as const;

export const databaseRules: Rules = (config, report) => {
  const { database: one, databases: several, database_path: file } = config;
  if (one === undefined && several === undefined && file === undefined && !report.isSet('database') && !report.isSet('databases')) {
    report
      .at('database')
      .refuse('is missing; name the engine and how to connect, for SQLite {name: sqlite3, args: {database: homeserver.db}}');
  }
  if (one !== undefined) {
    const target = one.args.database ?? one.args.dbname ?? file;
    if (one.name === 'sqlite3' && target === undefined) report.at('database.args').refuse('needs database: the path of the SQLite file');
    if (one.name === 'psycopg2' && file !== undefined) report.at('database_path').warn('is ignored, because database is PostgreSQL');
  }
  if (several === undefined) return;
  for (const other of ['database', 'database_path'] as const) {
    if (config[other] !== undefined) report.at('databases').refuse(`cannot be set together with ${other}; keep one of them`);
  }
  for (const store of STORES) {
    const holders = Object.entries(several).filter(([, candidate]) => candidate.data_stores.includes(store));
    if (holders.length !== 1) {
      const found = holders.length === 0 ? 'in none' : `in ${holders.map(([name]) => name).join(' and ')}`;
      report.at('databases').refuse(`the store ${store} must lie in exactly one database, and lies ${found}; correct data_stores`);
    }
  }
};
