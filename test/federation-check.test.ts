// `myelin federation check`: each step of the way to another server is explained.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startPeer } from '#test/support/federation.ts';
import { json, startScriptedPeer } from '#test/support/scripted-peer.ts';
import type { Server } from '#test/support/server.ts';

/** What the command prints, whether or not it finds faults. */
const check = async (server: Server, name: string): Promise<{ code: number; out: string }> => {
  try {
    return { code: 0, out: await server.run('federation', 'check', name) };
  } catch (error) {
    const { code, stdout } = error as { code: number; stdout: string };
    return { code, out: stdout };
  }
};

test('the way to a server that is well, and to this one itself, has no faults', async () => {
  await using one = await startPeer();
  await using two = await startPeer();
  for (const [name, signature] of [
    [two.name, /^ok +signature: it accepts what this server signs/mu],
    [one.name, /^note +signature: this is the server itself/mu],
  ] as const) {
    const { code, out } = await check(one, name);
    assert.equal(code, 0, out);
    for (const line of [
      /^ok +delegation: .* nothing is delegated$/mu,
      /^ok +addresses: localhost port \d+ is .*127\.0\.0\.1/mu,
      /^ok +connection: .* answers in \d+ ms with a certificate for localhost:\d+: Myelin \d/mu,
      /^ok +clock: the clocks agree$/mu,
      /^ok +keys: ed25519:a_test, valid until \d/mu,
      signature,
    ])
      assert.match(out, line);
  }
});

test('each fault is told, with what may be the reason', async () => {
  await using server = await startPeer();
  await using peer = await startScriptedPeer();
  peer.on('/_matrix/federation/v1/version', (_request, response) => {
    const date = new Date(Date.now() - 3_600_000).toUTCString();
    response.writeHead(200, { 'content-type': 'application/json', date }).end('{"server":{"name":"Old\\u001b[31m","version":"1"}}');
  });
  peer.on('/_matrix/federation/v1/query/profile', json({ errcode: 'M_UNAUTHORIZED', error: 'no key' }, 401));
  const slow = await check(server, peer.name);
  assert.equal(slow.code, 1, slow.out);
  assert.match(slow.out, /^note +clock: its clock is 3[56]\d\d s behind/mu);
  assert.match(slow.out, /^FAULT +signature: it does not accept .* signs \(M_UNAUTHORIZED no key\)/mu);
  assert.ok(!slow.out.includes('\u001b'), 'what it says is printed without control characters');
  peer.on('/_matrix/key/v2/server', json(peer.publication({ valid_until_ts: Date.now() - 1000 })));
  assert.match((await check(server, peer.name)).out, /^FAULT +keys: .* were valid until/mu);
  peer.on('/_matrix/key/v2/server', json({ ...peer.publication(), server_name: 'another.test' }));
  assert.match((await check(server, peer.name)).out, /^FAULT +keys: .* is not signed by/mu);
  const gone = peer.name;
  await peer[Symbol.asyncDispose]();
  const away = await check(server, gone);
  assert.equal(away.code, 1);
  assert.match(away.out, /^FAULT +connection: .*nobody answers there/mu);
  assert.match((await check(server, 'no server name')).out, /^FAULT +name: /mu);
  assert.match((await check(server, 'nowhere.invalid')).out, /^FAULT +addresses: /mu);
});

test('what this server may not talk with, connect to or trust is told', async () => {
  await using peer = await startScriptedPeer();
  await using closed = await startPeer({
    settings: { ip_range_blacklist: ['127.0.0.0/8', '::1/128'], federation_domain_whitelist: ['a.test'] },
  });
  const denied = await check(closed, peer.name);
  assert.match(denied.out, /^FAULT +name: .* not on federation_domain_whitelist/mu);
  assert.match(denied.out, /127\.0\.0\.1 \(denied\)/u);
  assert.match(denied.out, /^FAULT +connection: .*ip_range_blacklist/mu);
  await using stranger = await startPeer({ settings: { federation_custom_ca_list: undefined } });
  const untrusted = await check(stranger, peer.name);
  assert.match(untrusted.out, /^FAULT +connection: .*certificate/mu);
});
