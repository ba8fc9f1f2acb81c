import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemRandom } from '#src/platform/random.ts';
import { createVolatileStream } from '#src/platform/streams/volatile.ts';

void test('a reader gets what has changed since its token, each key once', () => {
  const stream = createVolatileStream<string>(systemRandom);
  stream.set('a', '1');
  const token = stream.token();
  assert.deepEqual(stream.since(token), { changes: new Map(), token });
  const heard: string[] = [];
  const stop = stream.subscribe((key) => heard.push(key));
  stream.set('b', '1');
  stream.set('a', '2');
  stream.set('b', '2');
  stream.remove('a');
  stream.remove('never there');
  stop();
  stream.set('c', '1');
  assert.deepEqual(heard, ['b', 'a', 'b', 'a']);
  assert.deepEqual(stream.since(token), {
    changes: new Map([
      ['b', '2'],
      ['a', undefined],
      ['c', '1'],
    ]),
    token: stream.token(),
  });
  assert.deepEqual(
    stream.all().rows,
    new Map([
      ['b', '2'],
      ['c', '1'],
    ]),
  );
});

void test('a token of another epoch, from the future or of another kind means everything', () => {
  const stream = createVolatileStream<string>(systemRandom);
  const other = createVolatileStream<string>(systemRandom);
  const [epoch] = stream.token().split('.');
  for (const token of [other.token(), `${String(epoch)}.99`, '', '17', `${String(epoch)}.-1`, `${String(epoch)}.x`]) {
    assert.equal(stream.since(token), 'everything', token);
  }
});

void test('old changes are forgotten, and who needs them gets everything', () => {
  const stream = createVolatileStream<number>(systemRandom, 10);
  const first = stream.token();
  for (let n = 0; n < 20; n += 1) stream.set(`key ${String(n % 3)}`, n);
  assert.equal(stream.since(first), 'everything');
  const late = stream.token();
  for (let n = 0; n < 5; n += 1) stream.set('late', n);
  const changes = stream.since(late);
  assert.ok(changes !== 'everything');
  assert.deepEqual(changes.changes, new Map([['late', 4]]));
});
