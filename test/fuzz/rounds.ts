import fc from 'fast-check';

const LONG_MS = 10 * 60_000;
const IS_LONG = process.env['MYELIN_LONG'] === '1';

/** More than the ten minutes of a long run. */
export const TIMEOUT_MS = 15 * 60_000;

/**
 * Plays rounds of random values: a few that are always the same, or with MYELIN_LONG=1 new ones for ten minutes. Answers how many values
 * there were. What a round throws says which seed made it.
 */
export const inRounds = async <Value>(
  arbitrary: fc.Arbitrary<Value>,
  { perRound, rounds }: { readonly perRound: number; readonly rounds: number },
  play: (values: readonly Value[]) => Promise<void>,
): Promise<number> => {
  const until = Date.now() + (IS_LONG ? LONG_MS : 0);
  let count = 0;
  for (let round = 0; round < rounds || Date.now() < until; round++) {
    const seed = IS_LONG ? Math.floor(Math.random() * 2 ** 31) : round;
    try {
      await play(fc.sample(arbitrary, { seed, numRuns: perRound }));
    } catch (error) {
      throw new Error(`A round of seed ${String(seed)} failed`, { cause: error });
    }
    count += perRound;
  }
  return count;
};
