import { systemClock } from '#src/platform/clock.ts';
import { openDatabase } from '#src/platform/database/index.ts';
import { isUniqueViolation } from '#src/platform/database/errors.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Table } from '#src/platform/database/types.ts';
import { silentLogger } from '#src/platform/logging/index.ts';

// A process of its own with an SQLite database, for tests that kill it or take its disk away.
// Arguments: the file, and the number of bytes in each row. Writes rows for ever and prints the number of each that it was told is durable;
// a write that fails prints its error, after which it goes on when it gets a line on its standard input.

const rows = { name: 'test_rows', columns: { num: 'bigint', body: 'text' }, key: ['num'] } as const satisfies Table<
  Record<string, 'bigint' | 'text'>
>;
const WRITERS = 8;

const [, , path = '', bytes = '10'] = process.argv;
const body = 'x'.repeat(Number(bytes));

const database = await openDatabase({
  config: { name: 'sqlite3', args: { database: path } },
  writer: 'master',
  clock: systemClock,
  logger: silentLogger,
  sqlite: { maxLogBytes: 256 * 1024 },
});
await database.write('create', (tx) => tx.run(sql`CREATE TABLE IF NOT EXISTS test_rows (num BIGINT PRIMARY KEY, body TEXT)`));
process.stdout.write('open\n');

const write = async (): Promise<void> => {
  for (;;) {
    const num = await database.write('row', async (tx) => {
      const next = await tx.nextPositions('rows');
      tx.insert(rows, { num: next, body });
      return next;
    });
    process.stdout.write(`${String(num)}\n`);
  }
};

for (;;) {
  try {
    await Promise.all(Array.from({ length: WRITERS }, write));
  } catch (error) {
    if (isUniqueViolation(error)) throw error;
    process.stdout.write(`error ${error instanceof Error ? error.message : String(error)}\n`);
    await new Promise((resolve) => process.stdin.once('data', resolve));
  }
}
