import assert from 'node:assert/strict';
import { LeaseLost } from '#src/platform/database/errors.ts';
import { assertLease } from '#src/platform/database/leases.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Database, StreamPosition, Table } from '#src/platform/database/types.ts';
import { BEGINNING, includes, isAtLeast } from '#src/platform/streams/position.ts';
import { connectTransport, createLocalTransport } from '#src/platform/streams/transport.ts';
import type { Transport } from '#src/platform/streams/transport.ts';
import { waitFor } from '#src/platform/streams/wait.ts';
import { withBothDatabases } from '../../../test/support/databases.ts';
import type { Open } from '../../../test/support/databases.ts';

const WRITERS = ['writer1', 'writer2'] as const;
const writers = { events: WRITERS };
const events = { name: 'test_events', columns: { pos: 'bigint', writer: 'text' }, key: ['pos'] } as const satisfies Table<
  Record<string, 'bigint' | 'text'>
>;

const openAll = async (open: Open): Promise<{ one: Database; two: Database; reader: Database }> => {
  const [one, two] = [await open({ writer: WRITERS[0], writers }), await open({ writer: WRITERS[1], writers })];
  await one.write('create', (tx) => tx.run(sql`CREATE TABLE test_events (pos BIGINT PRIMARY KEY, writer TEXT NOT NULL)`));
  return { one, two, reader: await open({ writer: 'sync1', writers }) };
};

/** Writes a row whose transaction takes a random time between taking the number and committing. */
const writeSlowly = (database: Database): Promise<number> =>
  database.write('event', async (tx) => {
    const pos = await tx.nextPositions('events');
    await tx.all(sql`SELECT pg_sleep(${Math.random() * 0.004})`);
    if (Math.random() < 0.1) throw new Error('given up');
    tx.insert(events, { pos, writer: database.writer });
    return pos;
  });

/** A transport that delivers late, out of order, and not always. */
const badTransport = (): Transport => {
  const inner = createLocalTransport();
  return {
    onAnnouncement: inner.onAnnouncement,
    announce: (...announcement) => {
      if (Math.random() < 0.3) return;
      setTimeout(() => inner.announce(...announcement), Math.random() * 8);
    },
  };
};

/** Reads what lies between two positions, as a follower or a sync does. */
const readBetween = async (database: Database, from: StreamPosition, to: StreamPosition): Promise<number[]> => {
  const rows = await database.read('between', (reader) =>
    reader.all<{ pos: number; writer: string }>(sql`SELECT pos, writer FROM test_events WHERE pos > ${from.min} ORDER BY pos`),
  );
  return rows.filter(({ pos, writer }) => includes(to, writer, pos) && !includes(from, writer, pos)).map(({ pos }) => pos);
};

withBothDatabases(
  'who follows the vector of two writers never misses a row',
  async (_t, open) => {
    const { one, two, reader } = await openAll(open);
    const transport = badTransport();
    const stops = [one, two, reader].map((database) => connectTransport(database, transport));
    const written = new Set<number>();
    const burst = async (database: Database): Promise<void> => {
      for (let count = 0; count < 120; count += 1) {
        const pos = await writeSlowly(database).catch(() => undefined);
        if (pos !== undefined) written.add(pos);
      }
    };
    let done = false;
    const follow = async (database: Database): Promise<number[]> => {
      const seen: number[] = [];
      let from: StreamPosition = BEGINNING;
      for (let last = false; !last;) {
        last = done;
        if (last || Math.random() < 0.2) await database.refreshPositions();
        const to = database.positions.current('events');
        assert.ok(isAtLeast(to, from), 'positions never move backwards');
        seen.push(...(await readBetween(database, from, to)));
        from = to;
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
      }
      return seen;
    };
    const followers = [follow(reader), follow(one), follow(reader)];
    await Promise.all([burst(one), burst(two), burst(one)]);
    done = true;
    const expected = [...written].sort((a, b) => a - b);
    for (const seen of await Promise.all(followers)) {
      assert.deepEqual(
        seen.sort((a, b) => a - b),
        expected,
        'every row once',
      );
    }
    for (const stop of stops) stop();
  },
  { only: 'postgres' },
);

withBothDatabases(
  'an idle writer moves up behind the other, and a restart knows',
  async (_t, open) => {
    const { one, two, reader } = await openAll(open);
    const write = (database: Database) =>
      database.write('event', async (tx) => {
        const pos = await tx.nextPositions('events', 2);
        tx.insert(events, { pos, writer: database.writer });
        return pos;
      });
    assert.equal(await write(one), 1);
    assert.equal(await write(two), 3);
    assert.deepEqual(two.positions.current('events'), { min: 0, ahead: new Map([['writer2', 4]]) }, 'nobody told it of the other');
    const transport = createLocalTransport();
    for (const database of [one, two]) connectTransport(database, transport);
    const everywhere = (min: number) => (positions: Database['positions']) => positions.current('events').min === min;
    for (const { positions } of [one, two]) {
      assert.equal(await waitFor({ positions, streams: ['events'], until: everywhere(4), timeoutMs: 5000 }), 'woken');
    }
    while (reader.positions.current('events').min !== 4) {
      await reader.refreshPositions();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.ok((await write(one)) > 4);
    await assert.rejects(
      reader.write('event', (tx) => tx.nextPositions('events')),
      /"sync1" is no writer of the stream "events"/,
    );
    await two.close();
    const again = await open({ writer: 'writer2', writers });
    assert.equal(again.positions.own('events'), 6);
  },
  { only: 'postgres' },
);

withBothDatabases(
  'a writer that was paused past its lease cannot commit',
  async (_t, open) => {
    const { one, two } = await openAll(open);
    let now = 1_000_000;
    const clock = { now: () => now, monotonic: () => performance.now() };
    const late = await open({ writer: 'writer3', clock });
    const lease = await one.leases.acquire('rooms/0', 60_000);
    assert.ok(lease !== undefined);
    assert.equal(await two.leases.acquire('rooms/0', 60_000), undefined, 'it is held');
    now = Date.now() + 120_000;
    const fenced = (pos: number, sleep: number) =>
      one.write('fenced', async (tx) => {
        assertLease(tx, lease);
        tx.insert(events, { pos, writer: one.writer });
        await tx.all(sql`SELECT pg_sleep(${sleep})`);
      });
    await fenced(1, 0);
    const [paused, taken] = await Promise.allSettled([fenced(2, 0.5), late.leases.acquire('rooms/0', 60_000)]);
    assert.deepEqual(taken.status === 'fulfilled' ? taken.value : undefined, { name: 'rooms/0', epoch: 2 });
    assert.ok(paused.status === 'rejected' && paused.reason instanceof LeaseLost);
    await assert.rejects(fenced(3, 0), LeaseLost);
    assert.equal(await one.leases.renew(lease, 60_000), false);
    assert.deepEqual(await readBetween(one, BEGINNING, { min: 99, ahead: new Map() }), [1]);
  },
  { only: 'postgres' },
);

withBothDatabases(
  'two processes cannot write under one name',
  async (_t, open) => {
    await open();
    await assert.rejects(open(), /Another process writes to this database as "master"/);
  },
  { only: 'postgres' },
);
