import { Registry } from 'prom-client';
import type { Metric } from 'prom-client';

/** Only goes up. */
export interface Counter {
  inc(by?: number): void;
}

export interface Gauge {
  set(value: number): void;
  inc(by?: number): void;
  dec(by?: number): void;
}

export interface Histogram {
  observe(value: number): void;
}

/**
 * A metric by its labels. `with` is a map look-up; where it matters, keep what it answers.
 * Labels must have few values (a method, a job's name; never a user, a room or a path as it was sent).
 */
export interface Family<Labels extends readonly string[], Series> {
  with(...values: { [K in keyof Labels]: string }): Series;
}

export interface Definition<Labels extends readonly string[]> {
  readonly name: string;
  readonly help: string;
  readonly labels?: Labels;
}

/**
 * Makes metrics, or answers the ones that exist already under a name: several homeservers in a process count together.
 * Counting is an addition to a number; text is made when somebody scrapes.
 */
export interface Metrics {
  counter<const Labels extends readonly string[] = []>(definition: Definition<Labels>): Family<Labels, Counter>;
  gauge<const Labels extends readonly string[] = []>(definition: Definition<Labels>): Family<Labels, Gauge>;
  histogram<const Labels extends readonly string[] = []>(
    definition: Definition<Labels> & { buckets?: readonly number[] },
  ): Family<Labels, Histogram>;
  /** Called before each scrape, to set gauges that cost something to know. Answers how to stop. */
  onScrape(collect: () => Promise<void> | void): () => void;
  /** The scrape: text in Prometheus' format. */
  text(): Promise<string>;
  readonly contentType: string;
}

/** What the official Python client uses where nothing else is said. */
export const DEFAULT_BUCKETS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** A family that grew past this is a mistake; what follows is counted under one series, so that it cannot eat the memory. */
export const MAX_SERIES = 2_000;
const OVERFLOW = 'other';

interface Value {
  labels: Record<string, string | number>;
  value: number;
  metricName: string;
}

type Kind = 'counter' | 'gauge' | 'histogram';

/** One family: its series in a map, given to the registry in the shape that prom-client's own metrics have. */
class SeriesFamily<Series> {
  readonly name: string;
  readonly help: string;
  readonly type: Kind;
  readonly aggregator = 'sum';
  readonly labelNames: readonly string[];
  readonly #series = new Map<string, { labels: Record<string, string>; series: Series }>();
  readonly #create: () => Series;
  readonly #values: (name: string, labels: Record<string, string>, series: Series) => Value[];

  constructor(
    kind: Kind,
    definition: Definition<readonly string[]>,
    create: () => Series,
    values: (name: string, labels: Record<string, string>, series: Series) => Value[],
  ) {
    this.name = definition.name;
    this.help = definition.help;
    this.type = kind;
    this.labelNames = definition.labels ?? [];
    this.#create = create;
    this.#values = values;
    if (this.labelNames.length === 0) this.with();
  }

  with(...values: readonly string[]): Series {
    const key = values.length === 1 ? (values[0] ?? '') : values.join('\u0000');
    const known = this.#series.get(key);
    if (known !== undefined) return known.series;
    const isFull = this.#series.size >= MAX_SERIES && values.some((value) => value !== OVERFLOW);
    return isFull ? this.with(...values.map(() => OVERFLOW)) : this.#add(key, values);
  }

  #add(key: string, values: readonly string[]): Series {
    const series = this.#create();
    this.#series.set(key, { labels: Object.fromEntries(this.labelNames.map((name, index) => [name, values[index] ?? ''])), series });
    return series;
  }

  /** Called by the registry. */
  get(): Promise<{ name: string; help: string; type: Kind; aggregator: string; values: Value[] }> {
    const values = [...this.#series.values()].flatMap(({ labels, series }) => this.#values(this.name, labels, series));
    return Promise.resolve({ name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values });
  }
}

class NumberSeries implements Counter, Gauge {
  value = 0;
  inc(by = 1): void {
    this.value += by;
  }
  dec(by = 1): void {
    this.value -= by;
  }
  set(value: number): void {
    this.value = value;
  }
}

class HistogramSeries implements Histogram {
  readonly bounds: readonly number[];
  /** Per bucket, not yet added up; the last one is above all bounds. */
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    const { bounds, counts } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] ?? 0)) bucket += 1;
    counts[bucket] = (counts[bucket] ?? 0) + 1;
    this.sum += value;
  }
}

const numberValues = (name: string, labels: Record<string, string>, series: NumberSeries): Value[] => [
  { labels, value: series.value, metricName: name },
];

const histogramValues = (name: string, labels: Record<string, string>, series: HistogramSeries): Value[] => {
  let total = 0;
  const buckets = series.counts.map((count, index) => {
    total += count;
    return { labels: { ...labels, le: series.bounds[index] ?? '+Inf' }, value: total, metricName: `${name}_bucket` };
  });
  return [...buckets, { labels, value: series.sum, metricName: `${name}_sum` }, { labels, value: total, metricName: `${name}_count` }];
};

/** Metrics in a registry of their own, or in the one given. */
export const createMetrics = (registry: Registry = new Registry()): Metrics => {
  const collectors = new Set<() => void | Promise<void>>();
  const families = new Map<string, SeriesFamily<unknown>>();

  const family = <Series>(
    kind: Kind,
    definition: Definition<readonly string[]>,
    create: () => Series,
    values: (name: string, labels: Record<string, string>, series: Series) => Value[],
  ): SeriesFamily<Series> => {
    const known = families.get(definition.name);
    if (known !== undefined) {
      if (known.type !== kind || known.labelNames.join() !== (definition.labels ?? []).join()) {
        throw new Error(`metric ${definition.name} exists already with other labels or of another kind`);
      }
      return known as SeriesFamily<Series>;
    }
    const made = new SeriesFamily(kind, definition, create, values);
    families.set(definition.name, made as SeriesFamily<unknown>);
    registry.registerMetric(made as unknown as Metric);
    return made;
  };

  return {
    counter: (definition) => family('counter', definition, () => new NumberSeries(), numberValues),
    gauge: (definition) => family('gauge', definition, () => new NumberSeries(), numberValues),
    histogram: (definition) => {
      const buckets = definition.buckets ?? DEFAULT_BUCKETS;
      return family('histogram', definition, () => new HistogramSeries(buckets), histogramValues);
    },
    onScrape: (collect) => {
      collectors.add(collect);
      return () => {
        collectors.delete(collect);
      };
    },
    text: async () => {
      await Promise.all([...collectors].map(async (collect) => collect()));
      return registry.metrics();
    },
    contentType: registry.contentType,
  };
};
