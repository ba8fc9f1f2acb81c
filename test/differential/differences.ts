/** A disagreement with Synapse that is meant, with the sentence that it rests on. */
export interface Difference<Case> {
  readonly name: string;
  /** Why this is right, from the specification. */
  readonly reason: string;
  /** Whether the case has what makes the difference; `detail` is what Synapse says. */
  readonly applies: (given: Case, detail: string) => boolean;
}

const IS_LONG = process.env['MYELIN_LONG'] === '1';

/** How many cases: some hundred always the same, or many new ones with MYELIN_LONG=1. fast-check prints the seed of a case that fails. */
export const runs = (few: number, many: number): { readonly numRuns: number; readonly seed?: number } =>
  IS_LONG ? { numRuns: many } : { numRuns: few, seed: 20_251_126 };

/** Throws, with the case as JSON, unless both sides say the same or the difference is one of the list. */
export const expectAgreement = <Case>(
  given: Case,
  ours: unknown,
  theirs: unknown,
  differences: readonly Difference<Case>[],
  detail = '',
): void => {
  if (JSON.stringify(ours) === JSON.stringify(theirs) || differences.some(({ applies }) => applies(given, detail))) return;
  throw new Error(`Myelin: ${JSON.stringify(ours)}\nSynapse: ${JSON.stringify(theirs)} ${detail}\nCase: ${JSON.stringify(given)}`);
};
