import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testClock } from '#src/platform/http/testing.ts';
import { type HttpClient, OutgoingError, type OutgoingRequest, type SrvRecord } from '#src/platform/network/index.ts';
import { systemRandom } from '#src/platform/random.ts';
import { createDiscovery } from '#src/federation/discovery/resolve.ts';
import { createWellKnown } from '#src/federation/discovery/well-known.ts';

type Page = { readonly status?: number; readonly headers?: Record<string, string>; readonly body?: string };

const HOUR = 3_600_000;

/** A web whose pages the test changes as it likes; a missing page refuses connections. */
const world = () => {
  const clock = testClock();
  const pages: Record<string, Page> = {};
  const services: Record<string, readonly SrvRecord[]> = {};
  const asked: string[] = [];
  const request = ({ url }: OutgoingRequest) => {
    asked.push(url);
    const page = pages[url];
    if (page === undefined) return Promise.reject(new OutgoingError('connect', 'refused'));
    return Promise.resolve({ status: page.status ?? 200, headers: page.headers ?? {}, body: Buffer.from(page.body ?? '') });
  };
  const http: HttpClient = { request, open: () => Promise.reject(new Error('not used')), close: () => undefined };
  const wellKnown = createWellKnown({ http, clock, random: systemRandom });
  const dns = { services: (name: string) => Promise.resolve(services[name] ?? []) };
  const discovery = createDiscovery({ wellKnown, dns, clock, random: systemRandom });
  const delegate = (host: string, to: unknown, headers: Record<string, string> = {}): void => {
    pages[`https://${host}/.well-known/matrix/server`] = { body: JSON.stringify({ 'm.server': to }), headers };
  };
  return { clock, pages, services, asked, delegate, find: wellKnown.find, resolve: discovery.resolve };
};

const record = (name: string, port: number, priority = 10, weight = 5): SrvRecord => ({ name, port, priority, weight });

test('server names are resolved step by step (server-server API, Resolving server names)', async () => {
  const { resolve, delegate, services } = world();
  delegate('ip.test', '1.2.3.4');
  delegate('ip-port.test', '[2001:db8::1]:443');
  delegate('port.test', 'matrix.port.test:8449');
  delegate('srv.test', 'matrix.srv.test');
  delegate('plain.test', 'matrix.plain.test');
  services['_matrix-fed._tcp.matrix.srv.test'] = [record('target.srv.test', 1234)];
  services['_matrix._tcp.matrix.srv.test'] = [record('old.srv.test', 4321)];
  services['_matrix-fed._tcp.direct.test'] = [record('target.direct.test', 5)];
  services['_matrix._tcp.old.test'] = [record('target.old.test', 6)];
  for (const [name, authority, host, port] of [
    ['1.2.3.4', '1.2.3.4', '1.2.3.4', 8448],
    ['1.2.3.4:5', '1.2.3.4:5', '1.2.3.4', 5],
    ['[::1]', '[::1]', '::1', 8448],
    ['[::1]:5', '[::1]:5', '::1', 5],
    ['named.test:5', 'named.test:5', 'named.test', 5],
    ['ip.test', '1.2.3.4', '1.2.3.4', 8448],
    ['ip-port.test', '[2001:db8::1]:443', '2001:db8::1', 443],
    ['port.test', 'matrix.port.test:8449', 'matrix.port.test', 8449],
    ['srv.test', 'matrix.srv.test', 'target.srv.test', 1234],
    ['plain.test', 'matrix.plain.test', 'matrix.plain.test', 8448],
    ['direct.test', 'direct.test', 'target.direct.test', 5],
    ['old.test', 'old.test', 'target.old.test', 6],
    ['bare.test', 'bare.test', 'bare.test', 8448],
  ] as const) {
    assert.deepEqual(await resolve(name), { authority, targets: [{ host, port }] }, name);
  }
});

test('a server that says it is nowhere is not looked for elsewhere', async () => {
  const { resolve, services } = world();
  services['_matrix-fed._tcp.gone.test'] = [record('.', 0)];
  await assert.rejects(resolve('gone.test'), OutgoingError);
  await assert.rejects(resolve('not a name'), OutgoingError);
});

test('services are tried by priority, and within one the heavier are drawn more often', async () => {
  const { resolve, services, clock } = world();
  services['_matrix-fed._tcp.many.test'] = [record('last', 1, 20), record('light', 1, 10, 1), record('heavy', 1, 10, 9)];
  let heavyFirst = 0;
  for (let round = 0; round < 400; round += 1) {
    clock.advance(61_000);
    const { targets } = await resolve('many.test');
    assert.equal(targets.length, 3);
    assert.equal(targets[2]?.host, 'last');
    if (targets[0]?.host === 'heavy') heavyFirst += 1;
  }
  assert.ok(heavyFirst > 280 && heavyFirst < 400, String(heavyFirst));
});

test('what is no delegation counts as none', async () => {
  const { find, pages, delegate } = world();
  for (const [index, to] of [undefined, 5, '', 'a b', 'x/y', { a: 1 }].entries()) {
    delegate(`bad-${String(index)}.test`, to);
    assert.equal(await find(`bad-${String(index)}.test`), undefined);
  }
  pages['https://html.test/.well-known/matrix/server'] = { body: '<html>' };
  pages['https://error.test/.well-known/matrix/server'] = { status: 404, body: '{"m.server":"a.test"}' };
  for (const host of ['html.test', 'error.test', 'refused.test']) assert.equal(await find(host), undefined);
});

test('redirects are followed, but not for ever, and not to other schemes', async () => {
  const { find, pages, delegate } = world();
  const to = (location: string): Page => ({ status: 302, headers: { location } });
  delegate('end.test', 'found.test');
  pages['https://start.test/.well-known/matrix/server'] = to('https://middle.test/x');
  pages['https://middle.test/x'] = to('https://end.test/.well-known/matrix/server');
  pages['https://loop.test/.well-known/matrix/server'] = to('/.well-known/matrix/server');
  pages['https://file.test/.well-known/matrix/server'] = to('file:///etc/passwd');
  assert.equal(await find('start.test'), 'found.test');
  assert.equal(await find('loop.test'), undefined);
  assert.equal(await find('file.test'), undefined);
});

test('answers are believed as long as they ask, within limits', async () => {
  const { find, delegate, asked, clock } = world();
  const countFor = async (host: string, ms: number): Promise<boolean> => {
    await find(host);
    clock.advance(ms);
    const before = asked.length;
    await find(host);
    return asked.length > before;
  };
  delegate('short.test', 'a.test', { 'cache-control': 'max-age=1' });
  delegate('short2.test', 'a.test', { 'cache-control': 'max-age=1' });
  delegate('never.test', 'a.test', { 'cache-control': 'no-store' });
  delegate('long.test', 'a.test', { 'cache-control': 'public, max-age=99999999' });
  delegate('long2.test', 'a.test', { 'cache-control': 'public, max-age=99999999' });
  delegate('silent.test', 'a.test');
  delegate('silent2.test', 'a.test');
  delegate('date.test', 'a.test', { expires: new Date(clock.now() + 10 * HOUR).toUTCString() });
  assert.equal(await countFor('short.test', 200_000), false);
  assert.equal(await countFor('short2.test', 300_000), true);
  assert.equal(await countFor('never.test', 200_000), false);
  assert.equal(await countFor('long.test', 38 * HOUR), false);
  assert.equal(await countFor('long2.test', 48 * HOUR), true);
  assert.equal(await countFor('silent.test', 17 * HOUR), false);
  assert.equal(await countFor('silent2.test', 27 * HOUR), true);
  assert.equal(await countFor('none.test', 40 * 60_000), false);
  assert.equal(await countFor('none2.test', 70 * 60_000), true);
});

test('a delegation that fails to be renewed still counts to its end, and is asked for again soon', async () => {
  const { find, delegate, pages, asked, clock } = world();
  delegate('a.test', 'delegate.test', { 'cache-control': 'max-age=3600' });
  assert.equal(await find('a.test'), 'delegate.test');
  delete pages['https://a.test/.well-known/matrix/server'];
  clock.advance(0.85 * HOUR);
  assert.equal(await find('a.test'), 'delegate.test');
  assert.equal(asked.length, 4, 'one good answer, and three tries');
  assert.equal(await find('a.test'), 'delegate.test');
  assert.equal(asked.length, 4, 'not asked again at once');
  clock.advance(0.2 * HOUR);
  assert.equal(await find('a.test'), undefined);
  delegate('a.test', 'delegate.test');
  clock.advance(140_000);
  assert.equal(await find('a.test'), 'delegate.test', 'a server that had one lately is asked again after two minutes');
});

test('those who ask at the same time share one request', async () => {
  const { find, delegate, asked } = world();
  delegate('a.test', 'b.test');
  assert.deepEqual(await Promise.all([find('a.test'), find('a.test'), find('a.test')]), ['b.test', 'b.test', 'b.test']);
  assert.equal(asked.length, 1);
});
