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

type Kind = 'counter' | 'gauge' | 'histogram';

/** One number of a series: what follows the family's name (`_sum`), a label of its own (`le="1"`), and the number. */
interface Sample {
  readonly suffix: '' | '_bucket' | '_sum' | '_count';
  readonly label?: string;
  readonly value: number;
}

const METRIC_NAME = /^[a-zA-Z_:][\w:]*$/;
const LABEL_NAME = /^[a-zA-Z_]\w*$/;

const escapeHelp = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
const labelText = (name: string, value: string): string => `${name}="${escapeHelp(value).replaceAll('"', '\\"')}"`;

const numberText = (value: number): string => {
  if (Number.isFinite(value)) return `${value}`;
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
};

/** One family with its series, which it writes in Prometheus' text format. */
class SeriesFamily<Series> {
  readonly name: string;
  readonly kind: Kind;
  readonly labelNames: readonly string[];
  readonly #help: string;
  /** By their labels' values; each with its labels as they stand in the text. */
  readonly #series = new Map<string, { labels: string; series: Series }>();
  readonly #create: () => Series;
  readonly #samples: (series: Series) => readonly Sample[];

  constructor(kind: Kind, definition: Definition<readonly string[]>, create: () => Series, samples: (series: Series) => readonly Sample[]) {
    this.name = definition.name;
    this.kind = kind;
    this.labelNames = definition.labels ?? [];
    this.#help = definition.help;
    this.#create = create;
    this.#samples = samples;
    if (!METRIC_NAME.test(this.name)) throw new Error(`${this.name} cannot be the name of a metric`);
    for (const label of this.labelNames) if (!LABEL_NAME.test(label)) throw new Error(`${label} cannot be a label of ${this.name}`);
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
    this.#series.set(key, { labels: this.labelNames.map((name, index) => labelText(name, values[index] ?? '')).join(), series });
    return series;
  }

  text(): string {
    let text = `# HELP ${this.name} ${escapeHelp(this.#help)}\n# TYPE ${this.name} ${this.kind}\n`;
    for (const { labels, series } of this.#series.values()) {
      for (const { suffix, label = '', value } of this.#samples(series)) {
        const all = labels === '' || label === '' ? labels + label : `${labels},${label}`;
        text += `${this.name}${suffix}${all === '' ? '' : `{${all}}`} ${numberText(value)}\n`;
      }
    }
    return text;
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

const numberSamples = ({ value }: NumberSeries): readonly Sample[] => [{ suffix: '', value }];

const histogramSamples = ({ bounds, counts, sum }: HistogramSeries): readonly Sample[] => {
  let total = 0;
  const buckets = counts.map((count, index): Sample => {
    total += count;
    return { suffix: '_bucket', label: labelText('le', numberText(bounds[index] ?? Number.POSITIVE_INFINITY)), value: total };
  });
  return [...buckets, { suffix: '_sum', value: sum }, { suffix: '_count', value: total }];
};

export const createMetrics = (): Metrics => {
  const collectors = new Set<() => void | Promise<void>>();
  const families = new Map<string, SeriesFamily<unknown>>();

  const family = <Series>(
    kind: Kind,
    definition: Definition<readonly string[]>,
    create: () => Series,
    samples: (series: Series) => readonly Sample[],
  ): SeriesFamily<Series> => {
    const known = families.get(definition.name);
    if (known !== undefined) {
      if (known.kind !== kind || known.labelNames.join() !== (definition.labels ?? []).join()) {
        throw new Error(`metric ${definition.name} exists already with other labels or of another kind`);
      }
      return known as SeriesFamily<Series>;
    }
    const made = new SeriesFamily(kind, definition, create, samples);
    families.set(definition.name, made as SeriesFamily<unknown>);
    return made;
  };

  return {
    counter: (definition) => family('counter', definition, () => new NumberSeries(), numberSamples),
    gauge: (definition) => family('gauge', definition, () => new NumberSeries(), numberSamples),
    histogram: (definition) => {
      const buckets = definition.buckets ?? DEFAULT_BUCKETS;
      return family('histogram', definition, () => new HistogramSeries(buckets), histogramSamples);
    },
    onScrape: (collect) => {
      collectors.add(collect);
      return () => {
        collectors.delete(collect);
      };
    },
    text: async () => {
      await Promise.all([...collectors].map(async (collect) => collect()));
      return [...families.values()].map((one) => one.text()).join('\n');
    },
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
  };
};
