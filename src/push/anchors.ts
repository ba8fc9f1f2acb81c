import { globLiterals } from '#src/protocol/glob.ts';

/**
 * What an event must have so that a pattern may match it: a word of its own in the body, a stretch of text in the body, or this sender.
 * All in lower case but the sender. An anchor that is there proves nothing; one that is not proves that the pattern does not match.
 */
export type Anchor =
  | { readonly kind: 'word'; readonly word: string }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'sender'; readonly sender: string };

const WORD = /[a-z0-9_]+/g;

/** The words of a text in lower case. */
export const wordsOf = (lower: string): ReadonlySet<string> => new Set(lower.match(WORD));

const longest = (texts: readonly string[]): string | undefined =>
  texts.reduce<string | undefined>((best, text) => (text.length > (best?.length ?? 0) ? text : best), undefined);

/** The words of a pattern that stand for themselves: no wildcard touches them. */
const wholeWords = (pattern: string): string[] =>
  [...pattern.matchAll(WORD)]
    .filter(({ 0: word, index }) => !/[*?]/.test((pattern[index - 1] ?? '') + (pattern[index + word.length] ?? '')))
    .map(([word]) => word);

/** The anchor of a glob that is looked for between word boundaries; undefined for one that has nothing but wildcards. */
export const anchorOfGlob = (pattern: string): Anchor | undefined => {
  const word = longest(wholeWords(pattern.toLowerCase()));
  if (word !== undefined) return { kind: 'word', word };
  const text = longest(globLiterals(pattern));
  return text === undefined ? undefined : { kind: 'text', text };
};

/** The anchor of a display name, in which wildcards are letters; undefined for an empty one. */
export const anchorOfName = (name: string): Anchor | undefined => {
  const lower = name.toLowerCase();
  const word = longest(lower.match(WORD) ?? []);
  if (word !== undefined) return { kind: 'word', word };
  return lower === '' ? undefined : { kind: 'text', text: lower };
};
