import { badAlias, invalidParam } from '#src/protocol/errors.ts';
import { parseRoomAlias } from '#src/protocol/identifiers.ts';
import type { JsonObject, JsonValue } from '#src/protocol/json.ts';

const listOf = (value: JsonValue | undefined): readonly JsonValue[] | undefined =>
  Array.isArray(value) ? (value as readonly JsonValue[]) : undefined;

/**
 * The aliases that a canonical alias event names and the one before it did not: those that must be shown to stand for the room. Throws
 * `invalidParam` for content of the wrong form, and for a new alias that is none.
 */
export const newAliases = (content: JsonObject, before: JsonObject | undefined): string[] => {
  const { alias, alt_aliases: others = [] } = content;
  const added = new Set<string>();
  if (alias !== undefined && alias !== null && alias !== '' && alias !== before?.alias) {
    if (typeof alias !== 'string') throw invalidParam('The alias must be of type string.');
    added.add(alias);
  }
  const list = listOf(others);
  if (list === undefined) throw invalidParam('The alt_aliases property must be a list.');
  const known = new Set(listOf(before?.alt_aliases) ?? []);
  for (const other of list) {
    if (typeof other !== 'string') throw invalidParam('Each alt_alias must be of type string.');
    if (!known.has(other)) added.add(other);
  }
  const invalid = [...added].find((each) => parseRoomAlias(each) === undefined);
  if (invalid !== undefined) throw invalidParam(`Room alias ${invalid} is invalid`);
  return [...added];
};

/** Throws `badAlias` unless all of them stand for the room. */
export const checkAliases = async (aliases: readonly string[], standsForRoom: (alias: string) => Promise<boolean>): Promise<void> => {
  for (const alias of aliases) if (!(await standsForRoom(alias))) throw badAlias(`Room alias ${alias} does not point to the room`);
};
