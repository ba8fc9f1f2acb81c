import { wordsOf } from '#src/platform/text/words.ts';
import type { JsonObject } from '#src/protocol/json.ts';

/** What can be searched, by the names that requests give it; tables have the places in this list. */
export const SEARCH_KEYS = ['content.body', 'content.name', 'content.topic'] as const;
export type SearchKey = (typeof SEARCH_KEYS)[number];

interface Searched {
  readonly field: string;
  readonly key: SearchKey;
}

const SEARCHED: ReadonlyMap<string, Searched> = new Map([
  ['m.room.message', { field: 'body', key: 'content.body' }],
  ['m.room.name', { field: 'name', key: 'content.name' }],
  ['m.room.topic', { field: 'topic', key: 'content.topic' }],
]);

/** The types of events that can be found. */
export const SEARCHED_TYPES: readonly string[] = [...SEARCHED.keys()];

/** The text by which an event can be found; undefined for events that cannot. */
export const searchedText = ({ type, content }: { readonly type: string; readonly content: JsonObject }): string | undefined => {
  const searched = SEARCHED.get(type);
  const text = searched && content[searched.field];
  return typeof text === 'string' ? text : undefined;
};

/** A word of an event, and how much of it the word is, of 1000. */
export interface WeightedWord {
  readonly word: string;
  readonly weight: number;
}

/** An event of so many words is found by all of them; one that has more, by the first. */
const MAX_WORDS = 2000;
/** A word that stands once among so many is half of what it can be. */
const USUAL_LENGTH = 10;

/** A text's words, each once: the more a word is said in few others, the more it weighs. */
export const weightedWords = (text: string): WeightedWord[] => {
  const words = wordsOf(text);
  const counts = new Map<string, number>();
  for (const { folded } of words) if (counts.has(folded) || counts.size < MAX_WORDS) counts.set(folded, (counts.get(folded) ?? 0) + 1);
  return Array.from(counts, ([word, count]) => ({
    word,
    weight: Math.max(1, Math.round((1000 * count) / (count + words.length / USUAL_LENGTH))),
  }));
};

/** The place of the key in which events of a type are searched. */
export const keyNumOf = (type: string): number => SEARCH_KEYS.indexOf(SEARCHED.get(type)?.key ?? 'content.body');
