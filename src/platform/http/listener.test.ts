import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { Type } from '#src/platform/schema.ts';
import { createHost } from '#src/platform/host.ts';
import type { Host, ServeOptions } from '#src/platform/host.ts';
import { createPasswordThreads } from '#src/platform/crypto/passwords.ts';
import { systemClock } from '#src/platform/clock.ts';
import { accessToken } from './access-token.ts';
import { readTlsFiles } from './listener.ts';
import type { TlsMaterial } from './listener.ts';
import { anyone, at, client, route } from './route.ts';
import { testLogging } from './testing.ts';

const events = { started: Promise.withResolvers<void>(), aborted: Promise.withResolvers<string>() };

const routes = [
  route({
    method: 'GET',
    path: at('/_matrix/client/versions'),
    access: anyone,
    handle: ({ request }) => Promise.resolve({ ip: request.ip }),
  }),
  route({ method: 'GET', path: at('/_matrix/federation/v1/version'), access: anyone, handle: () => Promise.resolve({ federation: true }) }),
  route({ method: 'POST', path: client('/post'), access: anyone, body: Type.Object({}), handle: ({ body }) => Promise.resolve(body) }),
  route({
    method: 'GET',
    path: client('/token'),
    access: anyone,
    handle: async ({ request }) => Promise.resolve({ token: accessToken(request) }),
  }),
  route({
    method: 'GET',
    path: client('/wait'),
    access: anyone,
    handle: async ({ request }) => {
      events.started.resolve();
      const reason = await new Promise<Error>((resolve) => {
        request.signal.addEventListener('abort', () => resolve(request.signal.reason as Error), { once: true });
      });
      events.aborted.resolve(reason.name);
      return { ended: true };
    },
  }),
];

const folder = mkdtempSync(join(tmpdir(), 'myelin-listener-'));

const makeCertificate = (name: string): TlsMaterial => {
  const [certificate, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  const subject = ['-subj', `/CN=${name}`, '-days', '2', '-keyout', key, '-out', certificate];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', ...subject], {
    stdio: 'ignore',
  });
  return readTlsFiles(certificate, key);
};

interface Got {
  readonly status: number | undefined;
  readonly body: string;
  readonly response: IncomingMessage;
}

const read = async (response: IncomingMessage): Promise<Got> => {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode, body: Buffer.concat(chunks).toString(), response };
};

const get = async (options: RequestOptions): Promise<Got> => {
  const request = httpRequest(options).end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return read(response);
};

/** Sends bytes as they are and reads until the other side closes. */
const raw = (port: number, text: string | Buffer): Promise<string> =>
  new Promise((resolve) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(answer));
    socket.setTimeout(3_000, () => socket.destroy());
  });

const makeHost = (): { host: Host; lines: string[] } => {
  const logging = testLogging(systemClock);
  return { host: createHost({ clock: systemClock, logging, passwordThreads: createPasswordThreads() }), lines: logging.lines };
};

const options = (listener: Partial<ServeOptions['listener']>, more: Partial<ServeOptions> = {}): ServeOptions => ({
  listener: { type: 'http', resources: [{ names: ['client'], compress: false }], bind_addresses: ['127.0.0.1'], ...listener },
  routes,
  hostNames: ['one.test'],
  serverHeader: 'Myelin',
  ...more,
});

describe('listeners', () => {
  const { host, lines } = makeHost();
  after(async () => {
    await host.close();
    rmSync(folder, { recursive: true });
  });

  it('serve only their resources, and health everywhere', async () => {
    const serving = await host.serve(options({ port: 0 }));
    const { port } = serving;
    assert.equal((await get({ port, path: '/_matrix/client/versions' })).status, 200);
    assert.equal((await get({ port, path: '/_matrix/federation/v1/version' })).status, 404);
    assert.equal((await get({ port, path: '/_synapse/metrics' })).status, 404);
    const health = await get({ port, path: '/health' });
    assert.deepEqual([health.status, health.body], [200, 'OK']);
    assert.equal(
      lines.some((line) => line.includes('INFO') && line.includes('/health')),
      false,
    );
    await serving.close(1000);
  });

  it('of type metrics answer at any path; the resource only when it is on', async () => {
    const metrics = await host.serve(options({ type: 'metrics', port: 0 }));
    const scraped = await get({ port: metrics.port, path: '/any' });
    assert.match(scraped.body, /^process_resident_memory_bytes [1-9]/m);
    assert.match(scraped.body, /^process_cpu_seconds_total [0-9.]+/m);
    assert.match(scraped.response.headers['content-type'] ?? '', /^text\/plain/);
    const resources = [{ names: ['metrics'], compress: false }];
    const http = await host.serve(options({ port: 0, resources }, { hasMetrics: true }));
    assert.match((await get({ port: http.port, path: '/_synapse/metrics' })).body, /synapse_http_server_requests_received_total/);
    await Promise.all([metrics.close(1000), http.close(1000)]);
  });

  it('believe forwarded addresses only where they are told to', async () => {
    const headers = { 'x-forwarded-for': '203.0.113.7, 10.0.0.1', 'x-forwarded-proto': 'https' };
    const plain = await host.serve(options({ port: 0 }));
    const proxied = await host.serve(options({ port: 0, x_forwarded: true, request_id_header: 'X-Request-Id', tag: 'behind' }));
    assert.equal((await get({ port: plain.port, path: '/_matrix/client/versions', headers })).body, '{"ip":"127.0.0.1"}');
    const got = await get({ port: proxied.port, path: '/_matrix/client/versions', headers: { ...headers, 'x-request-id': 'abc-1' } });
    assert.equal(got.body, '{"ip":"203.0.113.7"}');
    assert.ok(lines.some((line) => line.includes('synapse.access.http.behind - 0 - INFO - GET-abc-1 - 203.0.113.7 - behind - ')));
    await Promise.all([plain.close(1000), proxied.close(1000)]);
  });

  it('on a unix socket, with its mode, in place of a dead one', async () => {
    const path = join(folder, 'myelin.sock');
    // One that was killed leaves its file behind.
    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', script]);
    assert.ok(statSync(path).isSocket());
    const serving = await host.serve(options({ path, mode: 0o660 }));
    assert.equal(statSync(path).mode & 0o777, 0o660);
    const got = await get({ socketPath: path, path: '/_matrix/client/versions', headers: { 'x-forwarded-for': '203.0.113.9' } });
    assert.equal(got.body, '{"ip":"203.0.113.9"}');
    await assert.rejects(makeHost().host.serve(options({ path })), /cannot listen on .*EADDRINUSE/);
    await serving.close(1000);
  });

  it('say why they cannot be opened', async () => {
    const serving = await host.serve(options({ port: 0 }));
    await assert.rejects(makeHost().host.serve(options({ port: serving.port })), /cannot listen on 127\.0\.0\.1 port \d+: EADDRINUSE/);
    await assert.rejects(host.serve(options({ port: 0, tls: true })), /no certificate/);
    await serving.close(1000);
  });

  it('take all addresses that the machine has, in any order', async () => {
    for (const bind_addresses of [
      ['::', '0.0.0.0'],
      ['0.0.0.0', '::'],
      ['127.0.0.1', '::1'],
      ['2001:db8::1', '127.0.0.1'],
    ]) {
      const serving = await host.serve(options({ port: 0, bind_addresses }));
      assert.equal((await get({ host: '127.0.0.1', port: serving.port, path: '/_matrix/client/versions' })).status, 200);
      await serving.close(1000);
    }
    assert.ok(lines.some((line) => line.includes('WARNING') && line.includes('2001:db8::1')));
  });

  it('speak TLS and change the certificate while they run', async () => {
    const serving = await host.serve(options({ port: 0, tls: true }, { tls: makeCertificate('first.test') }));
    const nameSeen = async (): Promise<string> => {
      const request = httpsRequest({ port: serving.port, path: '/_matrix/client/versions', rejectUnauthorized: false, agent: false }).end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      const name = (response.socket as TLSSocket).getPeerCertificate().subject.CN;
      assert.equal((await read(response)).status, 200);
      return String(name);
    };
    assert.equal(await nameSeen(), 'first.test');
    serving.reloadTls(makeCertificate('second.test'));
    assert.equal(await nameSeen(), 'second.test');
    assert.throws(() => serving.reloadTls({ cert: 'nonsense', key: 'nonsense' }));
    assert.equal(await nameSeen(), 'second.test');
    await serving.close(1000);
  });

  it('are shared by homeservers, told apart by name', async () => {
    const first = await host.serve(options({ port: 0 }));
    await first.close(1000);
    const port = first.port ?? 0;
    const answering = (name: string) => [
      route({ method: 'GET', path: at('/_matrix/client/versions'), access: anyone, handle: () => Promise.resolve({ name }) }),
    ];
    const one = await host.serve(options({ port }, { hostNames: ['one.test'], routes: answering('one') }));
    const two = await host.serve(options({ port }, { hostNames: ['two.test'], routes: answering('two') }));
    const ask = async (name: string): Promise<string> =>
      (await get({ port, path: '/_matrix/client/versions', headers: { host: name } })).body;
    assert.deepEqual(
      [await ask('one.test'), await ask('Two.test:8008'), await ask('other')],
      ['{"name":"one"}', '{"name":"two"}', '{"name":"one"}'],
    );
    await one.close(1000);
    assert.equal(await ask('one.test'), '{"name":"two"}');
    await two.close(1000);
    await assert.rejects(get({ port, path: '/' }));
  });
});

describe('connections', () => {
  const { host, lines } = makeHost();
  let port = 0;
  before(async () => {
    port = (await host.serve(options({ port: 0 }))).port ?? 0;
  });
  after(() => host.close());

  it('that do not speak HTTP get a Matrix error', async () => {
    const cases: Array<[string, RegExp]> = [
      ['hello\r\n\r\n', /^HTTP\/1\.1 400 .*"errcode":"M_UNKNOWN"/s],
      [`GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, /^HTTP\/1\.1 431 .*"errcode":"M_TOO_LARGE"/s],
      ['POST /_matrix/client/v3/post HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', /^HTTP\/1\.1 400 /],
      ['POST /_matrix/client/v3/post HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}', /^HTTP\/1\.1 400 /],
      ['GET /_matrix/client/versions HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
    ];
    for (const [text, answer] of cases) assert.match(await raw(port, text), answer);
  });

  it('that send several Authorization headers are not guessed about', async () => {
    const tokens = 'Authorization: Bearer a\r\nauthorization: Bearer b\r\n';
    const text = `GET /_matrix/client/v3/token HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${tokens}\r\n`;
    assert.match(await raw(port, text), /^HTTP\/1\.1 401 .*Too many Authorization headers/s);
  });

  it('with a body that was announced too large are answered and closed', async () => {
    const head = 'POST /_matrix/client/v3/post HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n{';
    assert.match(await raw(port, head), /^HTTP\/1\.1 413 .*M_TOO_LARGE/s);
  });

  it('that end before the answer abort the handler, and are logged as 499', async () => {
    const request = httpRequest({ port, path: '/_matrix/client/v3/wait' });
    request.on('error', () => undefined);
    request.end();
    await events.started.promise;
    request.destroy();
    assert.equal(await events.aborted.promise, 'ClientGoneError');
    while (!lines.some((line) => / 499! "GET \/_matrix\/client\/v3\/wait /.test(line))) await new Promise(setImmediate);
  });

  it('that break off in the middle of a body do no harm', async () => {
    const socket = connect(port, '127.0.0.1');
    socket.write('POST /_matrix/client/v3/post HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n{"half":');
    await once(socket, 'connect');
    socket.destroy();
    while (!lines.some((line) => / 499! "POST /.test(line))) await new Promise(setImmediate);
    assert.equal(
      lines.some((line) => line.includes(' ERROR ')),
      false,
    );
  });
});

it('closing ends long polls with their answer, idle connections at once, and stubborn requests after the grace', async () => {
  events.started = Promise.withResolvers();
  events.aborted = Promise.withResolvers();
  const { host } = makeHost();
  const isStuck = Promise.withResolvers<void>();
  const stuck = route({
    method: 'GET',
    path: client('/stuck'),
    access: anyone,
    handle: () => {
      isStuck.resolve();
      return new Promise(() => undefined);
    },
  });
  const serving = await host.serve(options({ port: 0 }, { routes: [...routes, stuck] }));
  const { port } = serving;
  const agent = new Agent({ keepAlive: true });
  await get({ port, path: '/_matrix/client/versions', agent });
  const waiting = get({ port, path: '/_matrix/client/v3/wait', agent });
  await events.started.promise;
  const hung = get({ port, path: '/_matrix/client/v3/stuck', agent });
  const outcome = assert.rejects(hung, /socket hang up|ECONNRESET/);
  await isStuck.promise;
  const closed = serving.close(200);
  const answer = await waiting;
  assert.equal(await events.aborted.promise, 'ShuttingDownError');
  assert.deepEqual([answer.status, answer.body, answer.response.headers.connection], [200, '{"ended":true}', 'close']);
  await closed;
  await outcome;
  await assert.rejects(get({ port, path: '/' }), { code: 'ECONNREFUSED' });
  agent.destroy();
  await host.close();
});
