/** Where generations and auth events are looked up. */
export interface GenerationSource {
  /** Generations that are known; others are computed. */
  known(nums: readonly number[]): Promise<ReadonlyMap<number, number>>;
  /** Auth events; one that is left out has none. */
  auth(nums: readonly number[]): Promise<ReadonlyMap<number, readonly number[]>>;
}

/** All that has to be computed, with its auth events; what is known on the way goes to `generations`. */
const collect = async (
  source: GenerationSource,
  nums: readonly number[],
  generations: Map<number, number>,
): Promise<Map<number, readonly number[]>> => {
  const open = new Map<number, readonly number[]>();
  for (let layer = [...new Set(nums)]; layer.length > 0;) {
    for (const [num, generation] of await source.known(layer)) generations.set(num, generation);
    const unknown = layer.filter((num) => !generations.has(num));
    const auth = unknown.length === 0 ? undefined : await source.auth(unknown);
    for (const num of unknown) open.set(num, auth?.get(num) ?? []);
    layer = [...new Set(unknown.flatMap((num) => open.get(num) ?? []))].filter((num) => !generations.has(num) && !open.has(num));
  }
  return open;
};

/**
 * The generations of events and of all that had to be computed for them: one more than the greatest of their auth events', 0 without any. An auth event that
 * leads back to where it was cited from (versions 1 and 2) counts as the beginning.
 */
export const computeGenerations = async (source: GenerationSource, nums: readonly number[]): Promise<ReadonlyMap<number, number>> => {
  const generations = new Map<number, number>();
  const open = await collect(source, nums, generations);
  const entered = new Set<number>();
  for (const start of open.keys()) {
    const stack = [start];
    for (let num = stack.at(-1); num !== undefined; num = stack.at(-1)) {
      const auth = open.get(num) ?? [];
      const first = !entered.has(num);
      entered.add(num);
      const before = first ? auth.filter((each) => !generations.has(each) && !entered.has(each)) : [];
      if (before.length > 0) {
        stack.push(...before);
        continue;
      }
      stack.pop();
      if (!generations.has(num))
        generations.set(num, auth.length === 0 ? 0 : 1 + Math.max(...auth.map((each) => generations.get(each) ?? 0)));
    }
  }
  return generations;
};
