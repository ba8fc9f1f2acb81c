import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '#src/platform/clock.ts';
import { openDatabase } from '#src/platform/database/index.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Database } from '#src/platform/database/types.ts';
import { testLogging } from '#src/platform/http/testing.ts';
import { silent, withBothDatabases } from '#test/support/databases.ts';

const CHILD = fileURLToPath(new URL('../../../../test/support/database-child.ts', import.meta.url));

const createRows = (database: Database): Promise<number> =>
  database.write('create', (tx) => tx.run(sql`CREATE TABLE test_rows (num BIGINT PRIMARY KEY)`));
const addRow = (database: Database): Promise<number> =>
  database.write('add', async (tx) => {
    const num = await tx.nextPositions('rows');
    await tx.run(sql`INSERT INTO test_rows (num) VALUES (${num})`);
    return num;
  });
const rowsOf = async (database: Database): Promise<number[]> =>
  (await database.read('rows', (reader) => reader.all<{ num: number }>(sql`SELECT num FROM test_rows ORDER BY num`))).map(({ num }) => num);

const openFile = (path: string): Promise<Database> =>
  openDatabase({ config: { name: 'sqlite3', args: { database: path } }, writer: 'master', clock: systemClock, logger: silent });

/** Runs a body with a folder that is removed afterwards. */
const inFolder = (name: string, body: (folder: string, t: TestContext) => Promise<void>): void => {
  void test(name, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'myelin-test-'));
    try {
      await body(folder, t);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
};

withBothDatabases(
  'nobody sees a row, a position or an answer before the row is on the disk',
  async (_t, open) => {
    let hold: Promise<void> | undefined;
    let held = (): void => undefined;
    const database = await open({
      sqlite: {
        wrapSync: async (sync) => {
          held();
          await hold;
          await sync();
        },
      },
    });
    await createRows(database);
    let release = (): void => undefined;
    hold = new Promise((resolve) => {
      release = resolve;
    });
    const syncing = new Promise<void>((resolve) => {
      held = resolve;
    });
    let answered = false;
    const write = (async () => {
      await addRow(database);
      answered = true;
    })();
    await syncing;
    const long = database.readLong<{ num: number }>('long', sql`SELECT num FROM test_rows`);
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(await rowsOf(database), []);
    assert.equal(database.positions.current('rows').min, 0);
    assert.equal(answered, false);
    release();
    await write;
    assert.deepEqual(await rowsOf(database), [1]);
    assert.equal(database.positions.current('rows').min, 1);
    assert.equal((await long).length, 1, 'a long read waits for the group that is on its way');
  },
  { only: 'sqlite' },
);

withBothDatabases(
  'a sync that fails ends all writing, and the row stays invisible',
  async (_t, open) => {
    let fail = false;
    const database = await open({
      sqlite: { wrapSync: (sync) => (fail ? Promise.reject(new Error('EIO: i/o error, fdatasync')) : sync()) },
    });
    await createRows(database);
    await addRow(database);
    fail = true;
    await assert.rejects(addRow(database), /disk did not take/);
    fail = false;
    await assert.rejects(addRow(database), /disk did not take/);
    assert.deepEqual(await rowsOf(database), [1]);
  },
  { only: 'sqlite' },
);

withBothDatabases(
  'the log is moved into the file and begins anew, under load and when idle',
  async (_t, open) => {
    const maxLogBytes = 128 * 1024;
    const path = String(open.config.args?.['database']);
    const database = await open({ sqlite: { maxLogBytes, idleMs: 20 } });
    await database.write('create', (tx) => tx.run(sql`CREATE TABLE test_big (num BIGINT PRIMARY KEY, body TEXT)`));
    const body = 'x'.repeat(3000);
    for (let num = 0; num < 1500; num += 1) {
      await database.write('add', (tx) => tx.run(sql`INSERT INTO test_big (num, body) VALUES (${num}, ${body})`));
    }
    assert.ok(statSync(`${path}-wal`).size < 4_000_000, `the log is ${String(statSync(`${path}-wal`).size)} bytes for 4.5 MB of rows`);
    const size = (): number => statSync(path).size;
    while (size() < 4_500_000) await new Promise((resolve) => setTimeout(resolve, 10));
    const { n } = (await database.read('count', (reader) => reader.one<{ n: number }>(sql`SELECT count(*) AS n FROM test_big`))) ?? {
      n: 0,
    };
    assert.equal(n, 1500);
  },
  { only: 'sqlite' },
);

inFolder('a database in memory serialises reads and writes', async () => {
  const database = await openFile(':memory:');
  await createRows(database);
  const [rows] = await Promise.all([rowsOf(database), addRow(database), addRow(database)]);
  assert.ok(rows.length === 0 || rows.length === 2);
  assert.deepEqual(await rowsOf(database), [1, 2]);
  assert.equal((await database.readLong('long', sql`SELECT num FROM test_rows`)).length, 2);
  await database.close();
});

interface Child {
  readonly process: ChildProcessWithoutNullStreams;
  /** The next line, or `undefined` at its end. */
  next(): Promise<string | undefined>;
  kill(): Promise<void>;
}

const startChild = async (path: string, bytes: number, wrapper: readonly string[] = []): Promise<Child> => {
  const [program, ...args] = [...wrapper, process.execPath, CHILD, path, String(bytes)];
  const child = spawn(program ?? process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const next = async (): Promise<string | undefined> => {
    const line = await lines.next();
    return line.done === true ? undefined : line.value;
  };
  assert.equal(await next(), 'open', errors);
  return {
    process: child,
    next,
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
};

inFolder('a second process on the same file is refused, until the first is gone', async (folder) => {
  const path = join(folder, 'test.db');
  const child = await startChild(path, 10);
  await assert.rejects(openFile(path), /in use by another process/);
  await child.kill();
  const database = await openFile(path);
  await assert.rejects(openFile(path), /in use by another process/, 'the same process counts as well');
  await database.close();
});

inFolder('kill -9 during a burst loses nothing that was answered', async (folder) => {
  const path = join(folder, 'test.db');
  let last = 0;
  for (let round = 0; round < 4; round += 1) {
    const child = await startChild(path, 500);
    const target = last + 300 * (round + 1);
    for (let line = await child.next(); line !== undefined && last < target; line = await child.next()) last = Math.max(last, Number(line));
    await child.kill();
    for (let line = await child.next(); line !== undefined; line = await child.next()) last = Math.max(last, Number(line));
    const database = await openFile(path);
    const rows = await rowsOf(database);
    assert.deepEqual(
      rows.slice(0, last),
      Array.from({ length: last }, (_, index) => index + 1),
      'everything answered is there, once',
    );
    assert.equal(database.positions.current('rows').min, rows.length);
    await database.close();
    last = rows.length;
  }
});

inFolder('a power failure loses nothing that was answered, wherever the log is cut', async (folder) => {
  const path = join(folder, 'test.db');
  /** What the disk holds after each sync: how many rows were answered by then, and how long the log is. */
  const synced: { answered: number; log: number }[] = [];
  let answered = 0;
  let log = (): number => 0;
  // Opened again, it begins with an empty log, whose length is then what was written.
  await (await openFile(path)).close();
  const database = await openDatabase({
    config: { name: 'sqlite3', args: { database: path } },
    writer: 'master',
    clock: systemClock,
    logger: silent,
    sqlite: {
      maxLogBytes: 0,
      idleMs: 1e9,
      wrapSync: async (sync) => {
        await sync();
        synced.push({ answered, log: log() });
      },
    },
  });
  log = () => statSync(`${path}-wal`).size;
  await createRows(database);
  await database.write('fill', (tx) => tx.run(sql`CREATE TABLE filler (num BIGINT PRIMARY KEY)`));
  // The copy of the file is as the disk has it before the first checkpoint.
  copyFileSync(path, join(folder, 'base.db'));
  for (let num = 0; num < 12; num += 1) {
    await addRow(database);
    answered += 1;
  }
  copyFileSync(`${path}-wal`, join(folder, 'base.db-wal'));
  await database.close();

  const reopen = async (length: number): Promise<number[]> => {
    const copy = join(folder, 'copy.db');
    for (const end of ['', '-wal']) copyFileSync(join(folder, `base.db${end}`), `${copy}${end}`);
    rmSync(`${copy}-shm`, { force: true });
    truncateSync(`${copy}-wal`, length);
    const opened = await openFile(copy);
    try {
      return await rowsOf(opened);
    } finally {
      await opened.close();
    }
  };
  // Each sync is entered before its own row is answered: the log at that point holds one row more than was answered.
  const bursts = synced.filter((point) => point.log > (synced[1]?.log ?? 0));
  assert.equal(bursts.length, 12);
  for (const [index, point] of bursts.entries()) {
    assert.ok(point.answered <= index);
    assert.deepEqual(
      await reopen(point.log),
      Array.from({ length: index + 1 }, (_, row) => row + 1),
    );
    const torn = point.log + 1 + ((index * 1777) % 4000);
    const rows = await reopen(Math.min(torn, bursts.at(-1)?.log ?? 0));
    assert.ok(rows.length >= index + 1 && rows.every((row, at) => row === at + 1), 'a cut later on leaves a prefix');
  }
});

const hasPrlimit = (): boolean => {
  try {
    execFileSync('prlimit', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

inFolder('without room on the disk, writes fail by the name of the file and go on when there is room', async (folder, t) => {
  if (!hasPrlimit()) {
    t.skip('prlimit was not found');
    return;
  }
  const path = join(folder, 'test.db');
  const child = await startChild(path, 20_000, ['prlimit', '--fsize=1500000:unlimited']);
  let line = await child.next();
  let last = 0;
  while (line !== undefined && !line.startsWith('error')) {
    last = Math.max(last, Number(line));
    line = await child.next();
  }
  assert.ok(line?.includes(path) && line.includes('disk'), line ?? 'no error');
  assert.equal(dirname(path), folder);
  execFileSync('prlimit', ['--pid', String(child.process.pid), '--fsize=unlimited:unlimited']);
  child.process.stdin.write('\n');
  const target = last + 50;
  while (last < target) {
    line = await child.next();
    assert.ok(line !== undefined);
    if (!line.startsWith('error')) last = Math.max(last, Number(line));
  }
  await child.kill();
  const database = await openFile(path);
  const rows = new Set(await rowsOf(database));
  assert.ok(rows.has(last));
  const [check] = await database.read('check', (reader) => reader.all<{ integrity_check: string }>(sql`PRAGMA integrity_check`));
  assert.equal(check?.integrity_check, 'ok');
  await database.close();
});

withBothDatabases(
  'a slow statement is logged with the name of its transaction',
  async (_t, open) => {
    const { named, lines: logged } = testLogging(systemClock, 'warning');
    const database = await open({ logger: named('synapse.storage') });
    await database.write('count far', (tx) =>
      tx.all(sql`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) SELECT count(*) AS n FROM n`),
    );
    assert.equal(logged.length, 1);
    assert.match(logged[0] ?? '', / transaction=count far .*WITH RECURSIVE/);
  },
  { only: 'sqlite' },
);
