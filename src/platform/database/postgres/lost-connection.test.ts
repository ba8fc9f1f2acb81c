import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { sql } from '#src/platform/database/sql.ts';
import type { Database, Table } from '#src/platform/database/types.ts';
import { withBothDatabases } from '../../../../test/support/databases.ts';

const rows = { name: 'test_rows', columns: { num: 'bigint' }, key: ['num'] } as const satisfies Table<Record<string, 'bigint'>>;
const SOCKET = '.s.PGSQL.5432';

const createRows = (database: Database): Promise<number> =>
  database.write('create', (tx) => tx.run(sql`CREATE TABLE test_rows (num BIGINT PRIMARY KEY)`));
const addRow = (database: Database, onCommit: () => void = () => undefined): Promise<number> =>
  database.write('add', async (tx) => {
    const num = await tx.nextPositions('rows');
    tx.insert(rows, { num });
    tx.onCommit(onCommit);
    return num;
  });
const rowsOf = async (database: Database): Promise<number[]> =>
  (await database.read('rows', (reader) => reader.all<{ num: number }>(sql`SELECT num FROM test_rows ORDER BY num`))).map(({ num }) => num);

/** A wire to the server that can be cut at the next COMMIT: before the server has it, or before its answer comes back. */
const createWire = async (serverHost: string): Promise<{ host: string; cutNext(at: 'request' | 'answer'): void; close(): void }> => {
  const host = mkdtempSync(join(tmpdir(), 'myelin-test-'));
  const sockets = new Set<Socket>();
  let cut: 'request' | 'answer' | undefined;
  const server = createServer((client) => {
    const upstream = connect(join(serverHost, SOCKET));
    let mute = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    client.on('data', (data) => {
      if (cut !== undefined && data.includes('COMMIT')) {
        mute = true;
        const at = cut;
        cut = undefined;
        if (at === 'request') {
          client.destroy();
          return;
        }
      }
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      if (mute) client.destroy();
      else client.write(data);
    });
  });
  await new Promise<void>((resolve) => server.listen(join(host, SOCKET), resolve));
  return {
    host,
    cutNext: (at) => {
      cut = at;
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      rmSync(host, { recursive: true, force: true });
    },
  };
};

for (const at of ['request', 'answer'] as const) {
  withBothDatabases(
    `a commit whose ${at} is lost with the connection is done exactly once`,
    async (t, open) => {
      const wire = await createWire(String(open.config.args?.['host']));
      t.after(wire.close);
      const database = await open({ config: { ...open.config, args: { ...open.config.args, host: wire.host } } });
      await createRows(database);
      await addRow(database);
      wire.cutNext(at);
      let callbacks = 0;
      const answers = await Promise.all([1, 2, 3].map(() => addRow(database, () => (callbacks += 1))));
      assert.equal(callbacks, 3);
      assert.deepEqual(await rowsOf(database), [1, ...answers]);
      assert.equal(database.positions.current('rows').min, answers.at(-1));
      const next = await addRow(database);
      assert.ok(next > (answers.at(-1) ?? 0));
      await database.close();
    },
    { only: 'postgres' },
  );
}

withBothDatabases(
  'when the server ends the connections during a burst, every answer holds and every row is there once',
  async (_t, open) => {
    const database = await open();
    await createRows(database);
    const { host, user, dbname } = open.config.args ?? {};
    const admin = new pg.Client({ host: String(host), user: String(user), database: String(dbname) });
    await admin.connect();
    const answered: number[] = [];
    const burst = async (): Promise<void> => {
      for (let count = 0; count < 150; count += 1) answered.push(await addRow(database));
    };
    const bursts = Promise.all([burst(), burst(), burst(), burst()]);
    for (let round = 1; round <= 3; round += 1) {
      while (answered.length < round * 120) await new Promise((resolve) => setTimeout(resolve, 1));
      await admin.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()',
      );
    }
    await bursts;
    await admin.end();
    assert.equal(answered.length, 600);
    assert.deepEqual(
      await rowsOf(database),
      answered.sort((a, b) => a - b),
    );
  },
  { only: 'postgres' },
);
