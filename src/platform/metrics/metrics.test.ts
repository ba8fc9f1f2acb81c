import assert from 'node:assert/strict';
import { it } from 'node:test';
import { testClock } from '#src/platform/http/testing.ts';
import { MAX_SERIES, createMetrics } from './index.ts';
import { collectProcessMetrics } from './process.ts';

it('counts, gauges and histograms come out as Prometheus reads them', async () => {
  const metrics = createMetrics();
  const counter = metrics.counter({ name: 'requests_total', help: 'Requests.', labels: ['method'] });
  counter.with('GET').inc();
  counter.with('GET').inc(2);
  counter.with('P"\\\nT').inc();
  metrics.gauge({ name: 'level', help: 'Level.' }).with().set(7);
  const time = metrics.histogram({ name: 'time_seconds', help: 'Time.', labels: ['kind'], buckets: [0.1, 1] }).with('a');
  for (const value of [0.05, 0.1, 0.5, 3]) time.observe(value);
  const text = await metrics.text();
  for (const line of [
    '# TYPE requests_total counter',
    'requests_total{method="GET"} 3',
    'requests_total{method="P\\"\\\\\\nT"} 1',
    '# TYPE level gauge',
    'level 7',
    'time_seconds_bucket{kind="a",le="0.1"} 2',
    'time_seconds_bucket{kind="a",le="1"} 3',
    'time_seconds_bucket{kind="a",le="+Inf"} 4',
    'time_seconds_sum{kind="a"} 3.65',
    'time_seconds_count{kind="a"} 4',
  ]) {
    assert.ok(text.split('\n').includes(line), line);
  }
});

it('help and odd numbers are written as the format wants them, each family after its HELP and TYPE', async () => {
  const metrics = createMetrics();
  const gauge = metrics.gauge({ name: 'odd', help: 'With \\ and\na "break".', labels: ['is'] });
  for (const [name, value] of [
    ['above', Number.POSITIVE_INFINITY],
    ['below', Number.NEGATIVE_INFINITY],
    ['none', Number.NaN],
    ['small', 1e-7],
  ] as const) {
    gauge.with(name).set(value);
  }
  metrics
    .histogram({ name: 'bare', help: 'Without labels.', buckets: [1] })
    .with()
    .observe(1);
  assert.equal(
    await metrics.text(),
    String.raw`# HELP odd With \\ and\na "break".
# TYPE odd gauge
odd{is="above"} +Inf
odd{is="below"} -Inf
odd{is="none"} NaN
odd{is="small"} 1e-7

# HELP bare Without labels.
# TYPE bare histogram
bare_bucket{le="1"} 1
bare_bucket{le="+Inf"} 1
bare_sum 1
bare_count 1
`,
  );
});

it('names that the format does not allow are refused', () => {
  const metrics = createMetrics();
  assert.throws(() => metrics.counter({ name: 'a-b', help: '' }), /cannot be the name/);
  assert.throws(() => metrics.counter({ name: 'a', help: '', labels: ['b:c'] }), /cannot be a label/);
});

it('a name is one metric, whoever asks for it, and never two kinds', () => {
  const metrics = createMetrics();
  const labels = ['a'] as const;
  assert.equal(metrics.counter({ name: 'x', help: 'X.', labels }), metrics.counter({ name: 'x', help: 'X.', labels }));
  assert.throws(() => metrics.gauge({ name: 'x', help: 'X.', labels }), /exists already/);
  assert.throws(() => metrics.counter({ name: 'x', help: 'X.' }), /exists already/);
});

it('a family does not grow without end', async () => {
  const metrics = createMetrics();
  const family = metrics.counter({ name: 'x', help: 'X.', labels: ['who'] });
  for (let index = 0; index < MAX_SERIES + 500; index += 1) family.with(`user${index}`).inc();
  const text = await metrics.text();
  assert.match(text, /^x\{who="other"\} 500$/m);
  assert.equal(text.split('\n').filter((line) => line.startsWith('x{')).length, MAX_SERIES + 1);
});

it('collectors run before a scrape, until they are stopped', async () => {
  const metrics = createMetrics();
  const gauge = metrics.gauge({ name: 'g', help: 'G.' }).with();
  const stop = metrics.onScrape(() => gauge.inc());
  assert.match(await metrics.text(), /^g 1$/m);
  assert.match(await metrics.text(), /^g 2$/m);
  stop();
  assert.match(await metrics.text(), /^g 2$/m);
});

it('the process tells what it uses', async () => {
  const metrics = createMetrics();
  const stop = collectProcessMetrics(metrics, testClock());
  const text = await metrics.text();
  for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'process_start_time_seconds', 'process_open_fds']) {
    assert.match(text, new RegExp(`^${name} [0-9.e+]+$`, 'm'));
  }
  stop();
});
