import type { Clock } from '#src/platform/clock.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Jobs } from '#src/platform/jobs/index.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';
import { deleteTransactionsBefore } from '#src/rooms/graph/store.ts';

/** A transaction id protects against repeats for a day, as in Synapse. */
const TRANSACTION_AGE_MS = 24 * 60 * 60 * 1000;
const COLLECTION_INTERVAL_MS = 60 * 1000;
const INTERVAL_MS = 5 * 60 * 1000;

/** Keeps the graph's tables from growing without end. */
export const scheduleGraphJanitor = (jobs: Jobs, database: Database, clock: Clock, graph: Pick<RoomGraph, 'collectState'>): void => {
  jobs.every('collect state', COLLECTION_INTERVAL_MS, async (signal) => void (await graph.collectState(signal)));
  jobs.every('forget transaction ids', INTERVAL_MS, async () => {
    await database.write('forget transaction ids', async (tx) => deleteTransactionsBefore(tx, clock.now() - TRANSACTION_AGE_MS));
  });
};
