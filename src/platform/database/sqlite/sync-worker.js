// The thread that waits for the disk: asked by any message, it answers when the log is safe, with the fault if it is not.
// Plain JavaScript, because a thread that loads TypeScript costs 20 MB more.

import { fdatasyncSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

parentPort.on('message', () => {
  try {
    fdatasyncSync(workerData.fd);
    parentPort.postMessage(undefined);
  } catch (error) {
    parentPort.postMessage(error);
  }
});
