import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testConfig } from '#src/platform/config/index.ts';
import { createIpPolicy } from '#src/platform/network/ip-policy.ts';

const { ip_range_blacklist: denied } = testConfig();

test('by default private addresses are denied, in every way in which they can be written', () => {
  const policy = createIpPolicy({ denied, allowed: [] });
  for (const address of [
    '127.0.0.1',
    '10.1.2.3',
    '172.31.255.255',
    '192.168.0.1',
    '169.254.169.254',
    '100.64.0.1',
    '224.0.0.1',
    '0.0.0.0',
    '::',
    '::1',
    'fe80::1',
    'fe80::1%eth0',
    'fd00::1',
    'ff02::1',
    '::ffff:127.0.0.1',
    '::FFFF:7F00:1',
    '0:0:0:0:0:ffff:10.0.0.1',
    '::127.0.0.1',
    '2002:7f00:1::',
    '2002:c0a8:1::1',
    '64:ff9b::10.0.0.1',
    'not an address',
    '',
  ]) {
    assert.equal(policy.isAllowed(address), false, address);
  }
  for (const address of ['8.8.8.8', '172.32.0.1', '2001:4860:4860::8888', '::ffff:8.8.8.8', '2002:808:808::', '64:ff9b::8.8.8.8']) {
    assert.equal(policy.isAllowed(address), true, address);
  }
});

test('exceptions are allowed, but for the addresses that mean this machine', () => {
  const policy = createIpPolicy({ denied, allowed: ['10.0.0.0/24', 'fd00::5', '0.0.0.0/0'] });
  assert.equal(createIpPolicy({ denied, allowed: ['10.0.0.0/24'] }).isAllowed('10.0.1.1'), false);
  for (const address of ['10.0.0.7', 'fd00::5', '::ffff:10.0.0.7', '192.168.1.1']) assert.equal(policy.isAllowed(address), true, address);
  for (const address of ['fd00::6', '0.0.0.0', '::']) assert.equal(policy.isAllowed(address), false, address);
});
