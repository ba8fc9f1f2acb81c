import assert from 'node:assert/strict';
import { it } from 'node:test';
import { MatrixError } from '#src/protocol/errors.ts';
import { testConfig } from '#src/platform/config/index.ts';
import { createRateLimiter, createRateLimiters } from './rate-limits.ts';
import { testClock } from './testing.ts';

const limiter = (per_second: number, burst_count: number) => {
  const clock = testClock();
  return { clock, limits: createRateLimiter({ clock, key: 'rc_test', settings: { per_second, burst_count } }) };
};

it('lets the burst through, then one for each leaked drop', () => {
  const { clock, limits } = limiter(0.1, 2);
  assert.deepEqual(limits.tryTake('a'), { allowed: true, retryAfterMs: 0 });
  assert.equal(limits.tryTake('a').allowed, true);
  assert.deepEqual(limits.tryTake('a'), { allowed: false, retryAfterMs: 10_000 });
  clock.advance(4_000);
  assert.deepEqual(limits.tryTake('a'), { allowed: false, retryAfterMs: 6_000 });
  clock.advance(6_000);
  assert.equal(limits.tryTake('a').allowed, true);
  assert.equal(limits.tryTake('a').allowed, false);
  assert.equal(limits.tryTake('b').allowed, true);
});

it('denied actions do not fill the bucket', () => {
  const { clock, limits } = limiter(1, 1);
  limits.check('a');
  for (let tries = 0; tries < 100; tries += 1) assert.equal(limits.tryTake('a').allowed, false);
  clock.advance(1_000);
  assert.equal(limits.tryTake('a').allowed, true);
});

it('throws with the time to wait', () => {
  const { limits } = limiter(0.5, 1);
  limits.check('a');
  assert.throws(
    () => limits.check('a'),
    (error: unknown) => error instanceof MatrixError && error.errcode === 'M_LIMIT_EXCEEDED' && error.fields['retry_after_ms'] === 2_000,
  );
});

it('takes several at once or none, asks without counting, records what happened anyway', () => {
  const { limits } = limiter(1, 5);
  assert.equal(limits.tryTake('a', { cost: 6 }).allowed, false);
  assert.equal(limits.tryTake('a', { cost: 5, count: false }).allowed, true);
  assert.equal(limits.tryTake('a', { cost: 5 }).allowed, true);
  limits.record('b', 7);
  assert.equal(limits.tryTake('b').allowed, false);
});

it('a bucket that never leaks still has an answer', () => {
  const { limits } = limiter(0, 0);
  const verdict = limits.tryTake('a');
  assert.equal(verdict.allowed, false);
  assert.ok(Number.isFinite(verdict.retryAfterMs) && verdict.retryAfterMs > 0);
});

it('uses a user’s own settings, and new ones after a reload', () => {
  const { limits } = limiter(1, 1);
  limits.check('a');
  assert.equal(limits.tryTake('a', { settings: { per_second: 1, burst_count: 10 } }).allowed, true);
  limits.reload({ per_second: 1, burst_count: 3 });
  assert.equal(limits.tryTake('a').allowed, true);
  assert.equal(limits.tryTake('a').allowed, false);
});

it('forgets those whose bucket is empty', () => {
  const { clock, limits } = limiter(1, 10);
  for (let index = 0; index < 1_000; index += 1) limits.check(`user${index}`);
  assert.equal(limits.size(), 1_000);
  clock.advance(120_000);
  limits.check('another');
  assert.equal(limits.size(), 1);
});

it('stands on a route’s line', () => {
  const { limits } = limiter(1, 1);
  const request = { ip: '10.0.0.1' } as never;
  limits.byAddress(undefined, request);
  assert.throws(() => limits.byAddress(undefined, request), MatrixError);
  const byName = limits.by((caller: { name: string | undefined }) => caller.name);
  byName({ name: 'x' }, request);
  assert.throws(() => byName({ name: 'x' }, request), MatrixError);
  byName({ name: undefined }, request);
});

it('takes the settings of a new configuration, and forgets nothing', () => {
  const clock = testClock();
  const limiters = createRateLimiters({ clock, config: testConfig({ rc_message: { per_second: 1, burst_count: 1 } }) });
  const messages = limiters.of('rc_message');
  const logins = limiters.of('rc_login.account');
  assert.equal(limiters.of('rc_message'), messages, 'whoever asks shares it');
  assert.equal(limiters.ofAdminRedactions(), messages);
  messages.check('a');
  assert.equal(messages.tryTake('a').allowed, false);
  const few = { per_second: 1, burst_count: 2 };
  limiters.reload(testConfig({ rc_message: few, rc_admin_redaction: few, rc_login: { account: { per_second: 1, burst_count: 0 } } }));
  assert.equal(messages.tryTake('a').allowed, true);
  assert.equal(messages.tryTake('a').allowed, false, 'the first still counts');
  assert.equal(logins.tryTake('a').allowed, false);
  assert.notEqual(limiters.ofAdminRedactions(), messages);
  assert.equal(limiters.ofAdminRedactions().tryTake('a').allowed, true);
});
