import { hasDense, type Terms, termsOf, wordsOf } from '#src/platform/text/words.ts';

/** What somebody searches for. */
export interface SearchTerms extends Terms {
  /** Those of the words that begin no others: numbers, and words of one or two letters, which begin too much. */
  readonly whole: readonly string[];
  /** Words that stand one after another, from what is in quotes. */
  readonly phrases: readonly (readonly string[])[];
  /** What stands nowhere, from what has a minus before it. */
  readonly without: readonly (readonly string[])[];
}

const PARTS = /(?<minus>(?<!\S)-)?(?:"(?<phrase>[^"]*)"|(?<word>[^\s"]+))/gu;
const WHOLE = /^(?:\p{N}+|[\p{sc=Latin}\p{sc=Greek}\p{sc=Cyrillic}]{1,2})$/u;
const MAX_SEQUENCES = 10;

/** Reads a term: words that have to stand there, `"words one after another"`, and `-words` that must not. */
export const parseTerm = (term: string): SearchTerms => {
  const wanted: string[] = [];
  const phrases: string[][] = [];
  const without: string[][] = [];
  for (const { groups = {} } of term.matchAll(PARTS)) {
    const { minus, phrase, word } = groups;
    const text = phrase ?? word ?? '';
    const sequence = minus === undefined && phrase === undefined ? [] : wordsOf(text).map(({ folded }) => folded);
    if (minus === undefined) wanted.push(text);
    if (sequence.length > 0) (minus === undefined ? phrases : without).push(sequence);
  }
  const terms = termsOf(wanted.join(' '));
  return {
    ...terms,
    whole: terms.words.filter((word) => WHOLE.test(word)),
    phrases: phrases.slice(0, MAX_SEQUENCES),
    without: without.slice(0, MAX_SEQUENCES),
  };
};

/** Whether words have others one after another; the last of these may begin one of them. */
const hasSequence = (words: readonly string[], sequence: readonly string[]): boolean => {
  const last = sequence.length - 1;
  return words.some((_, at) =>
    sequence.every((wanted, index) => {
      const word = words[at + index];
      return index < last || WHOLE.test(wanted) ? word === wanted : word?.startsWith(wanted) === true;
    }),
  );
};

/** Whether a text, which has the words, has them as the term wants it: what an index of single words cannot tell. */
export const fits = (text: string, terms: SearchTerms): boolean => {
  if (!hasDense(text, terms)) return false;
  if (terms.phrases.length + terms.without.length === 0) return true;
  const words = wordsOf(text).map(({ folded }) => folded);
  return terms.phrases.every((sequence) => hasSequence(words, sequence)) && !terms.without.some((sequence) => hasSequence(words, sequence));
};
