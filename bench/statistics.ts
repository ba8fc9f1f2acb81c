/** What one phase of one run measured, by name of the figure (`p50Ms`, `cpuMs`, `errors`, …). */
export type Figures = Readonly<Record<string, number>>;
/** All phases of one run. */
export type Run = Readonly<Record<string, Figures>>;

/** The smallest value that at least `share` of all values do not exceed. */
export const percentile = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
};

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
};

/** The median of every figure over several runs; errors are added up, since one bad run must not vanish. */
export const medianRun = (runs: readonly Run[]): Run => {
  const [first = {}] = runs;
  return Object.fromEntries(
    Object.entries(first).map(([phase, figures]) => [
      phase,
      Object.fromEntries(
        Object.keys(figures).map((name) => {
          const values = runs.map((run) => run[phase]?.[name] ?? Number.NaN);
          return [name, name === 'errors' ? values.reduce((sum, value) => sum + value, 0) : median(values)];
        }),
      ),
    ]),
  );
};
