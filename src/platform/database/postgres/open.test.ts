import assert from 'node:assert/strict';
import pg from 'pg';
import { withBothDatabases } from '../../../../test/support/databases.ts';

withBothDatabases(
  'a database with another locale than C is refused unless the configuration insists',
  async (_t, open) => {
    const { host, user, dbname } = open.config.args ?? {};
    const admin = new pg.Client({ host: String(host), user: String(user), database: String(dbname) });
    await admin.connect();
    const other = `${String(dbname)}_locale`;
    const latin = `${String(dbname)}_latin`;
    await admin.query(`CREATE DATABASE ${other} ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0`);
    await admin.query(`CREATE DATABASE ${latin} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`);
    try {
      const config = { ...open.config, args: { ...open.config.args, dbname: other } };
      await assert.rejects(open({ config }), /must have the locale C.*allow_unsafe_locale/s);
      await (await open({ config: { ...config, allow_unsafe_locale: true } })).close();
      await assert.rejects(open({ config: { ...config, args: { ...config.args, dbname: latin } } }), /encoding UTF8; it has LATIN1/);
    } finally {
      for (const name of [other, latin]) await admin.query(`DROP DATABASE ${name}`);
      await admin.end();
    }
  },
  { only: 'postgres' },
);

withBothDatabases(
  'what waiting cannot mend is said at once',
  async (_t, open) => {
    const config = { ...open.config, args: { ...open.config.args, dbname: 'no_such_database' } };
    await assert.rejects(open({ config }), /cannot be reached: database "no_such_database" does not exist/);
  },
  { only: 'postgres' },
);
