import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAlarms } from '#src/presence/alarms.ts';
import {
  combined,
  contentOf,
  type DevicePresence,
  growOld,
  newsIn,
  nextLookMs,
  type Presence,
  type UserPresence,
} from '#src/presence/states.ts';

const TIMINGS = { activeMs: 60_000, offlineMs: 30_000, idleMs: 300_000 };
const NOW = 1_000_000_000;

const user = (fields: Partial<UserPresence>): UserPresence => ({
  userNum: 1,
  userId: '@u:x',
  isLocal: true,
  presence: 'online',
  lastActiveMs: NOW,
  statusMessage: undefined,
  isActive: true,
  heardMs: NOW,
  ...fields,
});

const device = (fields: Partial<DevicePresence>): DevicePresence => ({
  presence: 'online',
  lastActiveMs: NOW,
  lastSyncMs: NOW,
  syncs: 0,
  ...fields,
});

const of = (...presences: Presence[]): Presence => combined(presences.map((presence) => ({ presence })));

test('the most present of the devices counts', () => {
  assert.equal(of(), 'offline');
  assert.equal(of('offline', 'unavailable', 'offline'), 'unavailable');
  assert.equal(of('unavailable', 'online'), 'online');
  assert.equal(of('online', 'busy', 'unavailable'), 'busy');
});

test('devices grow idle, and go when they have not synced for a while', () => {
  const after = (devices: Record<string, DevicePresence>, ms: number): Record<string, Presence> => {
    const map = new Map(Object.entries(devices));
    growOld(map, NOW + ms, TIMINGS);
    return Object.fromEntries([...map].map(([id, { presence }]) => [id, presence]));
  };
  assert.deepEqual(after({ a: device({}) }, 29_999), { a: 'online' });
  assert.deepEqual(after({ a: device({}) }, 30_000), {});
  assert.deepEqual(after({ a: device({ lastSyncMs: 0 }) }, 29_999), { a: 'online' }, 'who does something is there, syncing or not');
  assert.deepEqual(after({ a: device({ syncs: 1 }) }, 299_999), { a: 'online' }, 'while it syncs it is there');
  assert.deepEqual(after({ a: device({ syncs: 1 }) }, 300_000), { a: 'unavailable' });
  assert.deepEqual(after({ a: device({ presence: 'busy' }), b: device({ presence: 'unavailable' }) }, 3_599_999), { a: 'busy' });
  assert.deepEqual(after({ a: device({ presence: 'busy' }) }, 3_600_000), {});
});

test('somebody is looked at again when something may have changed, and not before', () => {
  assert.equal(nextLookMs(user({}), [device({})], TIMINGS), NOW + 30_000);
  assert.equal(nextLookMs(user({}), [device({ syncs: 1 })], TIMINGS), NOW + 60_000, 'no longer active right now');
  assert.equal(nextLookMs(user({ isActive: false }), [device({ syncs: 1 })], TIMINGS), NOW + 300_000);
  assert.equal(
    nextLookMs(user({ presence: 'unavailable' }), [device({ presence: 'unavailable', syncs: 1 })], TIMINGS),
    NOW + 1_500_000,
    'other servers are told again',
  );
  assert.equal(nextLookMs(user({ presence: 'offline' }), [], TIMINGS), Infinity);
  assert.equal(nextLookMs(user({ isLocal: false }), [], TIMINGS), NOW + 1_800_000);
  assert.equal(nextLookMs(user({ isLocal: false, presence: 'offline' }), [], TIMINGS), Infinity);
});

test('what others are told, and what not', () => {
  const news = (before: Partial<UserPresence>, after: Partial<UserPresence>): string | undefined =>
    newsIn(user(before), user(after), TIMINGS);
  assert.equal(news({}, {}), undefined);
  assert.equal(news({}, { lastActiveMs: NOW + 120_000 }), undefined, 'of who is active right now it does not matter since when');
  assert.equal(news({}, { statusMessage: 'here' }), 'status_msg_change');
  assert.equal(news({}, { presence: 'unavailable' }), 'state_change');
  assert.equal(news({}, { isActive: false }), 'current_active_change');
  const idle = { isActive: false };
  assert.equal(news(idle, { ...idle, lastActiveMs: NOW + 60_001 }), 'last_active_change_online');
  assert.equal(news(idle, { ...idle, lastActiveMs: NOW + 60_000 }), undefined);
  const away = { presence: 'unavailable' as const };
  assert.equal(news(away, { ...away, isActive: false }), undefined);
  assert.equal(news(away, { ...away, lastActiveMs: NOW + 60_001 }), 'last_active_change_not_online');
});

test('the content says what there is to say', () => {
  const nobody = { presence: 'offline' as const, lastActiveMs: 0, isActive: false };
  assert.deepEqual(contentOf(user(nobody), NOW), { presence: 'offline' });
  assert.deepEqual(contentOf(user({ statusMessage: 'x' }), NOW + 5), {
    presence: 'online',
    last_active_ago: 5,
    status_msg: 'x',
    currently_active: true,
  });
  assert.deepEqual(contentOf(user({ presence: 'unavailable', statusMessage: '' }), NOW - 5), {
    presence: 'unavailable',
    last_active_ago: 0,
  });
});

test('alarms come once, not before their time, and the earliest of a user stays', () => {
  const alarms = createAlarms(1000);
  alarms.set(1, 5500);
  alarms.set(1, 9000);
  alarms.set(2, 9000);
  alarms.set(2, 2000);
  alarms.set(3, Infinity);
  assert.equal(alarms.size(), 2);
  assert.deepEqual(alarms.due(1999), []);
  assert.deepEqual(alarms.due(5999), [2]);
  assert.deepEqual(alarms.due(6000), [1]);
  assert.deepEqual(alarms.due(99_000), []);
  assert.equal(alarms.size(), 0);
});
