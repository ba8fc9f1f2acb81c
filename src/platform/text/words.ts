/**
 * The words of texts in any language, as they are looked up: one way of reading for all indexes and both databases. Case and accents do not count. Languages that are
 * written without spaces have theirs found by a dictionary (Thai, Lao, Khmer, Burmese), or are cut into overlapping pairs of signs (Chinese, Japanese).
 */

/** A word of a text. */
export interface Word {
  /** As it is looked up. */
  readonly folded: string;
  /** As it stands in the text, in lower case. */
  readonly written: string;
}

/** What somebody looks for. */
export interface Terms {
  /** Each of them begins a word of what is found. */
  readonly words: readonly string[];
  /** Stretches of Chinese or Japanese, folded, that stand as they are in what is found; their pairs of signs could also stand apart. */
  readonly dense: readonly string[];
}

/** What is longer is no word that anybody looks for to its end. */
const MAX_WORD_LENGTH = 64;
const MAX_TERMS = 10;

const DENSE = String.raw`\p{sc=Han}\p{sc=Hira}\p{sc=Kana}ー\uFF70\uFF9E\uFF9F`;
const JOINED = String.raw`\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}`;
const PIECES = new RegExp(
  String.raw`(?<dense>[${DENSE}]+)|(?<joined>[${JOINED}]+)` +
    String.raw`|(?<plain>[[\p{L}\p{N}]--[${DENSE}${JOINED}]][[\p{L}\p{M}\p{N}]--[${DENSE}${JOINED}]]*)` +
    String.raw`|(?<emoji>\p{Extended_Pictographic}(?:\u200D\p{Extended_Pictographic}|[\uFE0F\u{1F3FB}-\u{1F3FF}])*|\p{RI}{2})`,
  'gv',
);
const PLAIN_ASCII = /^[\0-\x7F]*$/;
const ASCII_WORDS = /[a-z0-9]+/g;

/** Accents, the points of Arabic and Hebrew, and what chooses how a sign is drawn. */
const MARKS = new RegExp(
  String.raw`[\u0300-\u036F\u0591-\u05BD\u05BF\u05C1\u05C2\u05C4\u05C5\u05C7\u0640\u064B-\u065F\u0670\u1AB0-\u1AFF\u1DC0-\u1DFF\u20D0-\u20FF\uFE00-\uFE0F]`,
  'g',
);
const NO_LETTERS = /[^\p{L}\p{M}\p{N}]+/gu;
const SKIN_TONES = /\uFE0F|\p{Emoji_Modifier}/gu;

/** Letters that Unicode does not take apart. */
const ALIKE: Readonly<Record<string, string>> = { ø: 'o', æ: 'ae', œ: 'oe', ł: 'l', đ: 'd', ð: 'd', þ: 'th', ħ: 'h', ς: 'σ' };
const UNLIKE_LETTERS = /[øæœłđðþħς]/g;

/** Folds case, width and accents: `İ`, `I`, `ı` and `i` are one, as are `ß` and `ss`. */
const fold = (text: string): string => {
  if (PLAIN_ASCII.test(text)) return text.toLowerCase();
  const bare = text.normalize('NFKD').replaceAll(MARKS, '').normalize('NFC');
  // By way of capitals small letters become one that have one capital: ß, ı, ſ.
  return bare
    .toUpperCase()
    .toLowerCase()
    .replaceAll(UNLIKE_LETTERS, (letter) => ALIKE[letter] ?? letter)
    .replaceAll(NO_LETTERS, '');
};

let segmenter: Intl.Segmenter | undefined;

const joinedWords = (run: string): string[] => {
  segmenter ??= new Intl.Segmenter('th', { granularity: 'word' });
  return Array.from(segmenter.segment(run)).flatMap(({ segment, isWordLike }) => (isWordLike === true ? [segment] : []));
};

/** All pairs of neighbours, and the last sign by itself: so each sign begins something. */
const pairsOf = (run: string): string[] => {
  const signs = Array.from(run);
  return signs.map((sign, index) => sign + (signs[index + 1] ?? ''));
};

interface Pieces {
  readonly dense?: string;
  readonly joined?: string;
  readonly plain?: string;
  readonly emoji?: string;
}

const piecesOf = (text: string): Pieces[] => Array.from(text.normalize('NFC').matchAll(PIECES), ({ groups }) => groups as Pieces);

const wordOf = (written: string): Word[] => {
  const folded = fold(written).slice(0, MAX_WORD_LENGTH).toWellFormed();
  return folded === '' ? [] : [{ folded, written: written.toLowerCase() }];
};

const wordsIn = ({ dense, joined, plain, emoji }: Pieces): Word[] => {
  if (plain !== undefined) return wordOf(plain);
  if (dense !== undefined) return pairsOf(fold(dense)).map((pair) => ({ folded: pair, written: pair }));
  if (joined !== undefined) return joinedWords(joined).flatMap(wordOf);
  return emoji === undefined ? [] : [{ folded: emoji.replaceAll(SKIN_TONES, ''), written: emoji }];
};

/** The words of a text, in order and as often as they occur. */
export const wordsOf = (text: string): Word[] => {
  if (!PLAIN_ASCII.test(text)) return piecesOf(text).flatMap(wordsIn);
  return (text.toLowerCase().match(ASCII_WORDS) ?? []).map((written) => ({ folded: written.slice(0, MAX_WORD_LENGTH), written }));
};

/** What has to be looked up for a text that somebody looks for: each term once, and ten of them at most. */
export const termsOf = (text: string): Terms => {
  const words: string[] = [];
  const dense: string[] = [];
  for (const piece of piecesOf(text)) {
    const found = wordsIn(piece).map(({ folded }) => folded);
    // The last sign of several is a part of the last pair.
    if (piece.dense !== undefined && found.length > 1) found.pop();
    if (piece.dense !== undefined) dense.push(fold(piece.dense));
    words.push(...found);
  }
  return { words: [...new Set(words)].slice(0, MAX_TERMS), dense: [...new Set(dense)].slice(0, MAX_TERMS) };
};

/** Whether a text, which has the words, has the stretches too. */
export const hasDense = (text: string, { dense }: Terms): boolean => {
  if (dense.length === 0) return true;
  const stretches = piecesOf(text).flatMap((piece) => (piece.dense === undefined ? [] : [fold(piece.dense)]));
  return dense.every((wanted) => stretches.some((each) => each.includes(wanted)));
};

/** What of a text fits the terms, in lower case as it is written there: what a client marks in it. */
export const matchesIn = (text: string, { words, dense }: Terms): ReadonlySet<string> => {
  const matches = new Set<string>();
  for (const piece of piecesOf(text)) {
    const stretch = piece.dense === undefined ? undefined : fold(piece.dense);
    if (stretch !== undefined) for (const wanted of dense) if (stretch.includes(wanted)) matches.add(wanted);
    if (stretch === undefined)
      for (const { folded, written } of wordsIn(piece)) if (words.some((word) => folded.startsWith(word))) matches.add(written);
  }
  return matches;
};

/** Above all that begins with a word, in the order of code points. */
export const LAST_SIGN = '\u{10FFFF}';
