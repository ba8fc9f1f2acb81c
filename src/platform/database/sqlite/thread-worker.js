// A thread with a connection of its own, for what would hold up the main thread: long reads and checkpoints. What it is asked
// and answers is typed in threads.ts. Plain JavaScript, because a thread that loads TypeScript costs 20 MB more.

import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

const ROWS_PER_MESSAGE = 500;
const BUSY_MS = 5000;

const connection = new DatabaseSync(workerData.path, { readOnly: workerData.readOnly, timeout: BUSY_MS });

const query = (text, values) => {
  let rows = [];
  for (const row of connection.prepare(text).iterate(...values)) {
    rows.push(row);
    if (rows.length < ROWS_PER_MESSAGE) continue;
    parentPort.postMessage({ kind: 'rows', rows });
    rows = [];
  }
  parentPort.postMessage({ kind: 'rows', rows });
};

const handlers = {
  snapshot: () => connection.exec('BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1;'),
  query: ({ text, values }) => query(text, values),
  release: () => {
    if (connection.isTransaction) connection.exec('ROLLBACK');
  },
  checkpoint: () => connection.exec('PRAGMA wal_checkpoint(PASSIVE)'),
};

parentPort.on('message', (request) => {
  try {
    handlers[request.kind](request);
    parentPort.postMessage({ kind: 'done' });
  } catch (error) {
    parentPort.postMessage({ kind: 'failed', error });
  }
});
