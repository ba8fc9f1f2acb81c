import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from './client.ts';
import { cpuMs } from './processes.ts';
import { median } from './statistics.ts';

// What Node itself takes to tell something to all who long-poll: `npm exec -- node bench/floor.ts`. A server that knows nothing answers requests and
// bytes of the size of real ones, by the same client and on the same core as in the benchmark.

const PORT = 18_009;
const SYNCERS = [50, 200, 1000];
const MESSAGES = 15;
const WARM_UP = 5;
const SETTLE_MS = 300;
/** An answer to `/sync` with one message is so long. */
const BODY = JSON.stringify({ next_batch: 's1234_0_0_0_0_0_0_0_0_0', rooms: 'x'.repeat(780) });
const PATH = `/sync?filter=${'f'.repeat(120)}&set_presence=offline&timeout=30000&since=s1234_0_0_0_0_0_0_0_0_0`;

const serve = (): void => {
  let waiting: ServerResponse[] = [];
  createServer((request, response) => {
    if (request.method === 'GET') {
      waiting.push(response);
      return;
    }
    request.resume();
    response.end('{}');
    const told = waiting;
    waiting = [];
    for (const each of told) each.writeHead(200, { 'content-type': 'application/json', 'content-length': BODY.length }).end(BODY);
  }).listen(PORT, '127.0.0.1', () => console.log('listening'));
};

const measure = async (): Promise<void> => {
  const server = spawn('taskset', ['-c', '0', process.execPath, import.meta.filename, 'serve'], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(server.stdout, 'data');
  const { pid = 0 } = server;
  const client = createClient(`http://127.0.0.1:${String(PORT)}`);
  const user = { userId: '@user:bench.test', deviceId: 'FLOOR', token: 't'.repeat(40) };
  let polling = 0;
  const poll = async (): Promise<void> => {
    for (;;) await client.call('GET', PATH, user);
  };
  for (const syncers of SYNCERS) {
    for (; polling < syncers; polling++) void poll().catch(() => undefined);
    await sleep(SETTLE_MS);
    const costs: number[] = [];
    for (let index = 0; index < MESSAGES + WARM_UP; index++) {
      const before = cpuMs(pid);
      await client.call('PUT', '/send', user, {});
      await sleep(SETTLE_MS);
      if (index >= WARM_UP) costs.push(cpuMs(pid) - before);
    }
    const mean = costs.reduce((sum, each) => sum + each, 0) / costs.length;
    console.log(
      `${String(syncers)} syncers: ${mean.toFixed(1)} ms CPU a message, median ${median(costs).toFixed(0)}, ${((mean * 1000) / syncers).toFixed(0)} µs each`,
    );
  }
  await client.close();
  server.kill();
};

if (process.argv[2] === 'serve') serve();
else await measure();
