import fc from 'fast-check';

const IS_LONG = process.env['MYELIN_LONG'] === '1';
const LONG_MS = 10 * 60_000;
const PER_ROUND = 10;

/**
 * Plays random stories: so many that are always the same, or with MYELIN_LONG=1 new ones for ten minutes. What fails says its seed and path;
 * MYELIN_STORY=SEED/PATH plays that one again.
 */
export const playStories = async <Story>(
  story: fc.Arbitrary<Story>,
  count: number,
  play: (story: Story) => Promise<void>,
): Promise<void> => {
  const property = fc.asyncProperty(story, play);
  const [seed, path] = (process.env['MYELIN_STORY'] ?? '').split('/');
  if (seed !== undefined && path !== undefined) return fc.assert(property, { seed: Number(seed), path, endOnFailure: true });
  if (!IS_LONG) return fc.assert(property, { numRuns: count, seed: 1, endOnFailure: true });
  for (const until = Date.now() + LONG_MS; Date.now() < until;) await fc.assert(property, { numRuns: PER_ROUND, endOnFailure: true });
};
