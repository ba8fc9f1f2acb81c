import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { makeAuthority } from '#test/support/certificates.ts';
import type { Address, Dns } from '#src/platform/network/dns.ts';
import { createHttpClient, type HttpClientOptions, OutgoingError } from '#src/platform/network/http-client.ts';
import { createIpPolicy } from '#src/platform/network/ip-policy.ts';

const LOOPBACK: Address = { address: '127.0.0.1', family: 4 };
const names = (table: Readonly<Record<string, readonly Address[]>>): Dns => ({
  addresses: (host) => Promise.resolve(table[host] ?? []),
  services: () => Promise.resolve([]),
});
const open = createIpPolicy({ denied: [], allowed: [] });

const client = (options: Partial<HttpClientOptions> = {}) => {
  const made = createHttpClient({ dns: names({ 'a.test': [LOOPBACK] }), policy: open, userAgent: 'Test/1', ...options });
  return Object.assign(made, { [Symbol.dispose]: () => made.close() });
};

const listening = async (server: Server): Promise<{ port: number } & AsyncDisposable> => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
};
const serve = (listener: RequestListener) => listening(createServer(listener));

const ask = { method: 'GET', timeoutMs: 5000, maxBytes: 1000 } as const;

const fails = (fault: string, asking: Promise<unknown>): Promise<void> =>
  assert.rejects(asking, (error) => error instanceof OutgoingError && error.fault === fault);

test('a request is sent as it was asked for, and the answer comes whole', async () => {
  await using server = await serve((request, response) => {
    const { method = '', url = '', headers } = request;
    response.writeHead(418, { 'x-seen': [method, url, headers.host, headers['user-agent']].join(' ') });
    request.pipe(response);
  });
  using http = client();
  const url = `http://a.test:${String(server.port)}/path?x=%20y`;
  const answer = await http.request({ ...ask, method: 'PUT', url, body: 'hé' });
  assert.equal(answer.status, 418);
  assert.equal(answer.headers['x-seen'], `PUT /path?x=%20y a.test:${String(server.port)} Test/1`);
  assert.equal(answer.body.toString(), 'hé');
});

test('where to connect may be another place than the URL names', async () => {
  await using server = await serve((request, response) => void response.end(request.headers.host));
  using http = client({ dns: names({ 'target.test': [LOOPBACK] }) });
  const answer = await http.request({ ...ask, url: 'http://b.test/', connectTo: { host: 'target.test', port: server.port } });
  assert.equal(answer.body.toString(), 'b.test');
});

test('denied addresses are not connected to, whether written or found by name, and whatever else the name has', async () => {
  let asked = 0;
  await using server = await serve((_request, response) => {
    asked += 1;
    response.end();
  });
  const port = String(server.port);
  const policy = createIpPolicy({ denied: ['127.0.0.0/8', '::1'], allowed: ['127.0.0.9'] });
  using http = client({ policy, dns: names({ 'inside.test': [LOOPBACK], 'both.test': [LOOPBACK, { address: '127.0.0.9', family: 4 }] }) });
  for (const host of ['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '2130706433', '0x7f.1', 'inside.test']) {
    await fails('denied', http.request({ ...ask, url: `http://${host}:${port}/` }));
  }
  await fails('denied', http.request({ ...ask, url: 'http://x.test/', connectTo: { host: 'inside.test', port: server.port } }));
  await fails('connect', http.request({ ...ask, url: `http://both.test:${port}/` }));
  assert.equal(asked, 0);
});

test('a name whose address changes between two look-ups is judged by the address that is connected to', async () => {
  await using server = await serve((_request, response) => void response.end());
  const answers: Address[][] = [[{ address: '127.0.0.1', family: 4 }], [{ address: '127.0.0.2', family: 4 }]];
  let lookups = 0;
  const dns: Dns = { addresses: () => Promise.resolve(answers[lookups++ % 2]!), services: () => Promise.resolve([]) };
  using http = client({ dns, policy: createIpPolicy({ denied: ['127.0.0.2'], allowed: [] }) });
  const url = `http://rebinding.test:${String(server.port)}/`;
  const headers = { connection: 'close' };
  assert.equal((await http.request({ ...ask, url, headers })).status, 200);
  await fails('denied', http.request({ ...ask, url, headers }));
});

test('what keeps an answer from coming is told apart', async () => {
  await using silent = await serve(() => undefined);
  await using endless = await serve((_request, response) => {
    response.writeHead(200);
    const timer = setInterval(() => response.write('x'.repeat(100)), 1);
    response.once('close', () => clearInterval(timer));
  });
  await using dripping = await serve((_request, response) => {
    response.writeHead(200);
    response.write('x');
  });
  const closed = await serve(() => undefined);
  await closed[Symbol.asyncDispose]();
  using http = client();
  const at = (port: number) => ({ ...ask, url: `http://a.test:${String(port)}/` });
  await fails('dns', http.request({ ...ask, url: 'http://nowhere.test/' }));
  await fails('connect', http.request(at(closed.port)));
  await fails('timeout', http.request({ ...at(silent.port), timeoutMs: 50 }));
  await fails('timeout', http.request({ ...at(dripping.port), timeoutMs: 100 }));
  await fails('too-large', http.request(at(endless.port)));
  const giveUp = new AbortController();
  const asking = http.request({ ...at(silent.port), signal: giveUp.signal });
  giveUp.abort();
  await fails('aborted', asking);
});

test('an answer that breaks off in the middle is a failure, not a short answer', async () => {
  await using server = await serve((_request, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('short', () => response.destroy());
  });
  using http = client();
  await fails('connect', http.request({ ...ask, url: `http://a.test:${String(server.port)}/` }));
});

test('a connection that the other side closes meanwhile costs nothing', async () => {
  const server = createServer((_request, response) => void response.end('ok'));
  server.keepAliveTimeout = 1;
  await using listener = await listening(server);
  using http = client();
  for (let round = 0; round < 20; round += 1) {
    assert.equal((await http.request({ ...ask, url: `http://a.test:${String(listener.port)}/` })).status, 200);
    await new Promise((resolve) => void setTimeout(resolve, round % 5));
  }
});

test('certificates are checked for the name that was asked for', async () => {
  const authority = makeAuthority();
  const { certificate: cert, key } = authority.issue('DNS:good.test', 'IP:127.0.0.1');
  await using server = await listening(createTlsServer({ cert, key }, (_request, response) => void response.end('ok')));
  const connectTo = { host: 'a.test', port: server.port };
  using trusting = client({ authorities: [authority.pem] });
  const get = { ...ask, connectTo };
  assert.equal((await trusting.request({ ...get, url: 'https://good.test/' })).status, 200);
  assert.equal((await trusting.request({ ...ask, url: `https://127.0.0.1:${String(server.port)}/` })).status, 200);
  await fails('tls', trusting.request({ ...get, url: 'https://other.test/' }));
  using stranger = client();
  await fails('tls', stranger.request({ ...get, url: 'https://good.test/' }));
  assert.equal((await stranger.request({ ...get, url: 'https://other.test/', isCertificateIgnored: true })).status, 200);
});

test('a proxy is asked for what is not exempt from it, even if its own address is denied', async () => {
  const tunnels: string[] = [];
  const { certificate: cert, key } = makeAuthority().issue('DNS:far.test');
  await using far = await listening(createTlsServer({ cert, key }, (_request, response) => void response.end('far')));
  const proxy = createServer();
  proxy.on('connect', (request, socket) => {
    tunnels.push(request.url ?? '');
    const upstream = connect(far.port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(upstream).pipe(socket);
    });
    upstream.on('error', () => socket.destroy());
    socket.on('error', () => upstream.destroy());
  });
  await using listener = await listening(proxy);
  using http = client({
    dns: names({ 'near.test': [LOOPBACK] }),
    policy: createIpPolicy({ denied: ['127.0.0.0/8'], allowed: [] }),
    proxies: { HTTPS_PROXY: `http://127.0.0.1:${String(listener.port)}`, NO_PROXY: 'near.test' },
  });
  const answer = await http.request({ ...ask, url: 'https://far.test/', isCertificateIgnored: true });
  assert.equal(answer.body.toString(), 'far');
  assert.deepEqual(tunnels, ['far.test:443']);
  await fails('denied', http.request({ ...ask, url: 'https://near.test/', isCertificateIgnored: true }));
});
