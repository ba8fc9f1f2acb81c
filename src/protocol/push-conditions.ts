import type { ClientEvent } from '#src/protocol/client-event.ts';
import { globMatches, globMatchesWords } from '#src/protocol/glob.ts';
import type { JsonValue } from '#src/protocol/json.ts';
import { isJsonObject, member } from '#src/protocol/json.ts';
import type { PowerLevels } from '#src/protocol/power-levels.ts';

/** A condition as clients write it; its other members depend on the kind, and may be anything. */
export type Condition = { readonly kind: string; readonly [parameter: string]: JsonValue };

/** What conditions look at beside the event. */
export interface PushContext {
  /** Joined members of the room, with the event if it is a join. */
  readonly memberCount: number;
  /** The user's display name in the room. */
  readonly displayName: string | undefined;
  /** The room's levels where the event is sent. */
  readonly levels: PowerLevels;
}

/** A dot-separated property path (appendices) as its names: `content.m\.relates_to` is `content` and `m.relates_to`. */
export const propertyPath = (key: string): string[] => {
  const path = [''];
  for (let index = 0; index < key.length; index++) {
    const escaped = key[index] === '\\' && (key[index + 1] === '.' || key[index + 1] === '\\');
    if (escaped) index += 1;
    if (key[index] === '.' && !escaped) path.push('');
    else path[path.length - 1] += key[index]!;
  }
  return path;
};

const propertyOf = (event: ClientEvent, key: JsonValue | undefined): JsonValue | undefined => {
  if (typeof key !== 'string') return undefined;
  let value: JsonValue | undefined = event;
  for (const name of propertyPath(key)) value = isJsonObject(value) ? member(value, name) : undefined;
  return value;
};

/** Strings, integers, booleans and null: what values may be compared with. */
const isSimple = (value: JsonValue | undefined): boolean => value === null || ['string', 'number', 'boolean'].includes(typeof value);

const COUNT = /^(==|<=|>=|<|>)?(\d+)$/;

/** Whether a number of members is what the text says: `2`, `==2`, `<10`, `>=3` … */
export const matchesCount = (text: JsonValue | undefined, count: number): boolean => {
  const [, operator = '==', digits] = (typeof text === 'string' ? COUNT.exec(text) : null) ?? [];
  if (digits === undefined) return false;
  const limit = Number(digits);
  switch (operator) {
    case '<':
      return count < limit;
    case '>':
      return count > limit;
    case '<=':
      return count <= limit;
    case '>=':
      return count >= limit;
    default:
      return count === limit;
  }
};

const matchesGlob = ({ key, pattern }: Condition, event: ClientEvent): boolean => {
  const value = propertyOf(event, key);
  if (typeof value !== 'string' || typeof pattern !== 'string') return false;
  return key === 'content.body' ? globMatchesWords(pattern, value) : globMatches(pattern, value);
};

/** A display name is no pattern: its wildcards are ordinary letters, and it may lie between any two letters that are no words. */
const containsName = (name: string | undefined, body: JsonValue | undefined): boolean => {
  if (name === undefined || name === '' || typeof body !== 'string') return false;
  const text = body.toLowerCase();
  const wanted = name.toLowerCase();
  const isWord = (character: string | undefined): boolean => character !== undefined && /[a-z0-9_]/.test(character);
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
    if (!isWord(text[at - 1]) && !isWord(text[at + wanted.length])) return true;
  }
  return false;
};

/** Whether a condition holds for an event and a user. One of an unknown kind never does (client-server API, Conditions). */
export const matchesCondition = (condition: Condition, event: ClientEvent, context: PushContext): boolean => {
  switch (condition.kind) {
    case 'event_match':
      return matchesGlob(condition, event);
    case 'event_property_is': {
      const value = propertyOf(event, condition.key);
      return isSimple(value) && value === condition.value;
    }
    case 'event_property_contains': {
      const values = propertyOf(event, condition.key);
      return Array.isArray(values) && isSimple(condition.value) && (values as readonly JsonValue[]).includes(condition.value!);
    }
    case 'contains_display_name':
      return containsName(context.displayName, event.content.body);
    case 'room_member_count':
      return matchesCount(condition.is, context.memberCount);
    case 'sender_notification_permission':
      return typeof condition.key === 'string' && context.levels.userLevel(event.sender) >= context.levels.notificationLevel(condition.key);
    default:
      return false;
  }
};
