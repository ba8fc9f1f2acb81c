import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MIGRATIONS_FOLDER, inDialect } from '#src/platform/database/migrations.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Database } from '#src/platform/database/types.ts';
import { withBothDatabases } from '#test/support/databases.ts';

/** A folder with the real first migration and others of the test's own. */
const withFolder = async (body: (folder: string, add: (file: string, text: string) => void) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'myelin-test-'));
  try {
    cpSync(join(MIGRATIONS_FOLDER, '0001-platform.sql'), join(folder, '0001-platform.sql'));
    await body(folder, (file, text) => writeFileSync(join(folder, file), text));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

const tables = async (database: Database): Promise<Set<string>> => {
  const rows = await database.read('tables', (reader) =>
    reader.all<{ name: string }>(
      reader.engine === 'sqlite'
        ? sql`SELECT name FROM sqlite_schema`
        : sql`SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'`,
    ),
  );
  return new Set(rows.map(({ name }) => name));
};

withBothDatabases(
  'migrations are applied in order, each once, and each whole or not at all',
  async (_t, open) => {
    await withFolder(async (migrationsFolder, add) => {
      add('0002-good.sql', 'CREATE TABLE good (num BIGINT PRIMARY KEY, data BYTEA); INSERT INTO good (num) VALUES (1);');
      await (await open({ migrationsFolder })).close();
      add('0003-bad.sql', 'CREATE TABLE half (num BIGINT PRIMARY KEY); INSERT INTO nowhere VALUES (1);');
      await assert.rejects(open({ migrationsFolder }), /0003-bad\.sql failed and was rolled back/);
      rmSync(join(migrationsFolder, '0003-bad.sql'));
      add('0003-mended.sql', 'CREATE TABLE whole (num BIGINT PRIMARY KEY)');
      const database = await open({ migrationsFolder });
      const found = await tables(database);
      assert.deepEqual(
        ['good', 'half', 'whole'].map((name) => found.has(name)),
        [true, false, true],
      );
      const rows = await database.read('rows', (reader) =>
        reader.all<{ number: number }>(sql`SELECT number FROM schema_migrations ORDER BY number`),
      );
      assert.deepEqual(
        rows.map(({ number }) => number),
        [1, 2, 3],
      );
    });
  },
  { empty: true },
);

withBothDatabases(
  'a changed, a late and a misnamed migration are refused',
  async (_t, open) => {
    await withFolder(async (migrationsFolder, add) => {
      add('0003-third.sql', 'CREATE TABLE third (num BIGINT PRIMARY KEY)');
      await (await open({ migrationsFolder })).close();
      add('0002-late.sql', 'CREATE TABLE late (num BIGINT PRIMARY KEY)');
      await assert.rejects(open({ migrationsFolder }), /0002-late\.sql comes too late/);
      rmSync(join(migrationsFolder, '0002-late.sql'));
      add('0003-third.sql', 'CREATE TABLE third (num BIGINT PRIMARY KEY, more TEXT)');
      await assert.rejects(open({ migrationsFolder }), /0003-third\.sql is not the one that was applied/);
      add('notes.sql', '');
      await assert.rejects(open({ migrationsFolder }), /named like 0001-some-words\.sql/);
    });
  },
  { empty: true },
);

withBothDatabases(
  'an older program is refused unless the newer schema says that it may',
  async (_t, open) => {
    await withFolder(async (migrationsFolder, add) => {
      await (await open({ migrationsFolder })).close();
      add('0002-kind.sql', '-- oldest compatible: 1\nCREATE TABLE kind (num BIGINT PRIMARY KEY)');
      await (await open({ migrationsFolder })).close();
      rmSync(join(migrationsFolder, '0002-kind.sql'));
      await (await open({ migrationsFolder })).close();
      add('0002-kind.sql', '-- oldest compatible: 1\nCREATE TABLE kind (num BIGINT PRIMARY KEY)');
      add('0003-strict.sql', 'DROP TABLE kind');
      await (await open({ migrationsFolder })).close();
      rmSync(join(migrationsFolder, '0003-strict.sql'));
      await assert.rejects(open({ migrationsFolder }), /schema version 3 .* at least version 3; this one knows 2/);
    });
  },
  { empty: true },
);

withBothDatabases(
  "a database with Synapse's own tables is refused, and nothing in it is touched",
  async (_t, open) => {
    await withFolder(async (migrationsFolder) => {
      const database = await open({ migrationsFolder });
      await database.write('synapse', (tx) => tx.run(sql`CREATE TABLE event_json (event_id TEXT NOT NULL)`));
      await database.write('synapse', (tx) => tx.run(sql`DROP TABLE schema_migrations`));
      await database.close();
      await assert.rejects(open({ migrationsFolder }), /Synapse's own tables \(event_json\).*myelin import-synapse/s);
      await assert.rejects(open({ migrationsFolder }), /Synapse's own tables/, 'the refusal leaves no lock behind');
    });
  },
  { empty: true },
);

void test('the dialects differ in the named ways only', () => {
  const text = 'CREATE TABLE t (num BIGINT PRIMARY KEY /*postgres:GENERATED*/, b BYTEA, n BIGINT) /*sqlite:WITHOUT ROWID*/; -- /* kept */';
  assert.equal(
    inDialect(text, 'postgres'),
    'CREATE TABLE t (num BIGINT PRIMARY KEY GENERATED, b BYTEA, n BIGINT) /*sqlite:WITHOUT ROWID*/; -- /* kept */',
  );
  assert.equal(
    inDialect(text, 'sqlite'),
    'CREATE TABLE t (num INTEGER PRIMARY KEY /*postgres:GENERATED*/, b BLOB, n BIGINT) WITHOUT ROWID; -- /* kept */',
  );
});
