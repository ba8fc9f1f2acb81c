/** Auth events as a graph, by event numbers. */
export interface AuthGraph {
  /** Generations of these events; it may have others', too. */
  generations(nums: readonly number[]): Promise<ReadonlyMap<number, number>>;
  /** Auth events; one that is left out has none. */
  auth(nums: readonly number[]): Promise<ReadonlyMap<number, readonly number[]>>;
  /** The state events that cite an event, in pages. */
  citing(num: number): AsyncIterable<readonly number[]>;
}

/** States by how they differ. */
export interface DifferingStates {
  /** The events of each state under the keys on which the states do not agree. */
  readonly sides: readonly (readonly number[])[];
  /** Whether an event stands in all states under the same key. */
  readonly isCommon: (num: number) => Promise<boolean>;
}

/** An event on the way down. */
interface Met {
  readonly generation: number;
  /** The sides in whose chains it is. */
  reached: bigint;
  /** Those and the sides in whose states it is: they reach its auth events. */
  passes: bigint;
}

/** Walks down from the differing events, the youngest first, as long as not all sides have come to an event. Answers the sides that reached each. */
const walkDown = async (graph: AuthGraph, sides: readonly (readonly number[])[], all: bigint): Promise<Map<number, Met>> => {
  const met = new Map<number, Met>();
  const open = new Set<number>();
  const meet = (num: number, generation: number, reached: bigint, passes: bigint): void => {
    const known = met.getOrInsertComputed(num, () => {
      open.add(num);
      return { generation, reached: 0n, passes: 0n };
    });
    known.reached |= reached;
    known.passes |= passes;
  };
  const starts = await graph.generations(sides.flat());
  for (const [side, nums] of sides.entries()) for (const num of nums) meet(num, starts.get(num) ?? 0, 0n, 1n << BigInt(side));
  for (;;) {
    // What is in all chains needs no walk: neither is what lies below it in any difference.
    for (const num of open) if (met.get(num)?.reached === all) open.delete(num);
    if (open.size === 0) return met;
    const youngest = [...open].reduce((most, num) => Math.max(most, met.get(num)?.generation ?? 0), 0);
    const level = [...open].filter((num) => met.get(num)?.generation === youngest);
    const auth = await graph.auth(level);
    const generations = await graph.generations([...new Set([...auth.values()].flat())]);
    for (const num of level) {
      open.delete(num);
      const { passes } = met.get(num) as Met;
      for (const authNum of auth.get(num) ?? []) meet(authNum, generations.get(authNum) ?? 0, passes, passes);
    }
  }
};

/**
 * What is in the auth chain of some of the states, but not of all (room versions, "State resolution"). Costs the difference: from the differing events it walks
 * down to where their chains meet, and from what is found there up again, until something that all states have in their chains is met.
 */
export const authDifference = async (graph: AuthGraph, { sides, isCommon }: DifferingStates): Promise<ReadonlySet<number>> => {
  const all = (1n << BigInt(sides.length)) - 1n;
  const met = await walkDown(graph, sides, all);
  const inAll = new Set([...met].filter(([, { reached }]) => reached === all).map(([num]) => num));
  const candidates = [...met]
    .filter(([, { reached }]) => reached !== 0n && reached !== all)
    .sort(([, a], [, b]) => b.generation - a.generation);
  /** Events that bring nothing into all chains: all above them has been looked at. */
  const apart = new Set<number>();

  const isBelowCommon = async (start: number): Promise<boolean> => {
    const seen = new Set([start]);
    for (const num of seen) {
      for await (const page of graph.citing(num)) {
        for (const citing of page) {
          if (seen.has(citing) || apart.has(citing)) continue;
          if (inAll.has(citing) || (await isCommon(citing))) return true;
          seen.add(citing);
        }
      }
    }
    for (const num of seen) if (num !== start || !(await isCommon(num))) apart.add(num);
    return false;
  };

  const difference = new Set<number>();
  for (const [num] of candidates) {
    if (await isBelowCommon(num)) inAll.add(num);
    else difference.add(num);
  }
  return difference;
};

/** All events on paths over auth events from one of these to another, with both ends (room version 12, the conflicted state subgraph). */
export const eventsBetween = async (graph: AuthGraph, ends: readonly number[]): Promise<ReadonlySet<number>> => {
  const ofEnds = await graph.generations(ends);
  const lowest = ends.reduce((least, num) => Math.min(least, ofEnds.get(num) ?? 0), Number.POSITIVE_INFINITY);
  const cited = new Map<number, number[]>();
  const seen = new Set(ends);
  for (let layer: readonly number[] = [...seen]; layer.length > 0;) {
    const auth = await graph.auth(layer);
    const generations = await graph.generations([...new Set([...auth.values()].flat())]);
    const next = new Set<number>();
    for (const [num, authNums] of auth) {
      for (const authNum of authNums) {
        // Below the oldest end nothing leads to an end any more.
        if ((generations.get(authNum) ?? 0) < lowest) continue;
        cited.getOrInsertComputed(authNum, () => []).push(num);
        if (!seen.has(authNum)) next.add(authNum);
        seen.add(authNum);
      }
    }
    layer = [...next];
  }
  const between = new Set(ends);
  for (const num of between) for (const citing of cited.get(num) ?? []) between.add(citing);
  return between;
};
