import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { Pool } from 'undici';
import { problemsWith } from './openapi.ts';

/** Stands between a client that is not ours and the homeserver, and holds every answer that passes against the specification. */
export interface CheckingProxy extends AsyncDisposable {
  readonly origin: string;
  /** What was wrong with answers, in words. */
  readonly problems: readonly string[];
  /** How many answers have passed. */
  readonly passed: () => number;
}

const NOT_PASSED_ON = new Set(['connection', 'host', 'content-length', 'transfer-encoding', 'keep-alive', 'expect']);

const passedOn = (headers: IncomingMessage['headers']): Record<string, string | string[]> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (NOT_PASSED_ON.has(name) || value === undefined ? [] : [[name, value]])),
  );

export const startCheckingProxy = async (pool: Pool): Promise<CheckingProxy> => {
  const problems: string[] = [];
  let passed = 0;

  const check = (method: string, path: string, status: number, text: string): void => {
    passed += 1;
    const found = status >= 500 ? ['a fault of the server'] : problemsWith(method, path.replace(/\?.*/, ''), status, JSON.parse(text));
    problems.push(...found.map((problem) => `${method} ${path}: ${String(status)}: ${problem}: ${text.slice(0, 500)}`));
  };

  const forward = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = 'GET', url = '/' } = request;
    // A body that is compressed on the way could not be read here.
    const headers = { ...passedOn(request.headers), 'accept-encoding': 'identity' };
    const body = await buffer(request);
    const answer = await pool.request({ method, path: url, headers, ...(body.length > 0 && { body }) });
    const text = await answer.body.text();
    check(method, url, answer.statusCode, text);
    response.writeHead(answer.statusCode, { ...passedOn(answer.headers), 'content-length': Buffer.byteLength(text) }).end(text);
  };

  const server = createServer((request, response) => {
    forward(request, response).catch((error: unknown) => {
      problems.push(`${request.method ?? ''} ${request.url ?? ''}: ${String(error)}`);
      response.destroy();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    problems,
    passed: () => passed,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
};
