import { parentPort, threadId } from 'node:worker_threads';
import bcrypt from 'bcrypt';
import type { PasswordAnswer, PasswordJob } from './passwords.ts';

// The synchronous functions on purpose: the asynchronous ones would take turns in libuv's pool with files and DNS.
const work = (job: PasswordJob): string | boolean =>
  job.kind === 'hash' ? bcrypt.hashSync(Buffer.from(job.secret), job.rounds) : bcrypt.compareSync(Buffer.from(job.secret), job.hash);

const answer = (job: PasswordJob): PasswordAnswer => {
  try {
    return { result: work(job) };
  } catch (error) {
    return { failure: `password thread ${threadId}: ${error instanceof Error ? error.message : String(error)}` };
  }
};

parentPort?.on('message', (job: PasswordJob) => {
  parentPort?.postMessage(answer(job), []);
});
