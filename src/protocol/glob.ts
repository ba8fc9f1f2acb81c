/** A glob pattern (appendices, Glob-style matching) in lower case, cut at its `*`. */
interface Glob {
  readonly pattern: readonly string[];
  /** The stretches without wildcards: a text without all of them need not be looked at closer. */
  readonly literals: readonly string[];
}

const compile = (pattern: string): Glob => {
  const lower = pattern.toLowerCase();
  return { pattern: Array.from(lower), literals: lower.split(/[*?]+/).filter((literal) => literal !== '') };
};

const WORD = /[A-Za-z0-9_]/;

const isWord = (character: string | undefined): boolean => character !== undefined && WORD.test(character);

/** Adds a place in the pattern and, where a `*` stands that may match nothing, the place after it. */
const enter = (places: Set<number>, place: number, pattern: readonly string[]): void => {
  let next = place;
  places.add(next);
  while (pattern[next] === '*') {
    next += 1;
    places.add(next);
  }
};

/** Where the pattern may stand after one more character. */
const step = (places: ReadonlySet<number>, character: string, pattern: readonly string[]): Set<number> => {
  const next = new Set<number>();
  for (const place of places) {
    if (pattern[place] === '*') enter(next, place, pattern);
    else if (pattern[place] === '?' || pattern[place] === character) enter(next, place + 1, pattern);
  }
  return next;
};

const hasLiterals = (glob: Glob, text: string): boolean => glob.literals.every((literal) => text.includes(literal));

/** The stretches of a pattern between its wildcards, in lower case: a text matches only where its lower case holds them all. */
export const globLiterals = (pattern: string): readonly string[] => compile(pattern).literals;

/** Says whether a text matches. */
export type TextMatcher = (text: string) => boolean;

/**
 * Matches texts that are all of the pattern, without regard to case. Takes time in proportion to both lengths, whatever the
 * pattern.
 */
export const globMatcher = (pattern: string): TextMatcher => {
  const glob = compile(pattern);
  const whole = pattern.toLowerCase();
  if (!/[*?]/.test(whole)) return (text) => text.toLowerCase() === whole;
  return (text) => {
    const lower = text.toLowerCase();
    if (!hasLiterals(glob, lower)) return false;
    let places = new Set<number>();
    enter(places, 0, glob.pattern);
    for (const character of lower) {
      places = step(places, character, glob.pattern);
      if (places.size === 0) return false;
    }
    return places.has(glob.pattern.length);
  };
};

/**
 * Matches texts of which some part that starts and ends at word boundaries is the pattern: the ends of the text or any
 * character but `A-Z a-z 0-9 _`. Without regard to case, in time as `globMatcher`.
 */
export const globWordsMatcher = (pattern: string): TextMatcher => {
  const glob = compile(pattern);
  return (text) => {
    const lower = text.toLowerCase();
    if (!hasLiterals(glob, lower)) return false;
    const characters = Array.from(lower);
    let places = new Set<number>();
    for (let index = 0; index <= characters.length; index++) {
      const before = characters[index - 1];
      if (!isWord(before)) enter(places, 0, glob.pattern);
      if (places.has(glob.pattern.length) && !isWord(characters[index])) return true;
      if (index < characters.length) places = step(places, characters[index]!, glob.pattern);
    }
    return false;
  };
};

export const globMatches = (pattern: string, text: string): boolean => globMatcher(pattern)(text);
export const globMatchesWords = (pattern: string, text: string): boolean => globWordsMatcher(pattern)(text);
