import type { JsonObject } from '#src/protocol/json.ts';
import { isJsonObject } from '#src/protocol/json.ts';

/** What an event's `m.relates_to` says (client-server API, "Forming relationships between events"). */
export interface Relation {
  readonly type: string;
  /** The event that it relates to. */
  readonly target: string;
  /** What an annotation says of its target. */
  readonly key: string | undefined;
}

/** The relation that an event's content states; replies alone are none. */
export const relationOf = (content: JsonObject): Relation | undefined => {
  const stated = content['m.relates_to'];
  if (!isJsonObject(stated) || typeof stated.rel_type !== 'string' || typeof stated.event_id !== 'string') return undefined;
  return { type: stated.rel_type, target: stated.event_id, key: typeof stated.key === 'string' ? stated.key : undefined };
};
