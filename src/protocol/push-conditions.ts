import type { ClientEvent } from '#src/protocol/client-event.ts';
import { globMatcher, globWordsMatcher } from '#src/protocol/glob.ts';
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

/** Says whether a condition holds for an event and a user. */
export type Matcher = (event: ClientEvent, context: PushContext) => boolean;

const never: Matcher = () => false;

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

/** Finds a property in events; `undefined` for a key that is no path. */
const propertyReader = (key: JsonValue | undefined): ((event: ClientEvent) => JsonValue | undefined) => {
  if (typeof key !== 'string') return () => undefined;
  const path = propertyPath(key);
  return (event) => {
    let value: JsonValue | undefined = event;
    for (const name of path) value = isJsonObject(value) ? member(value, name) : undefined;
    return value;
  };
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

const globCondition = ({ key, pattern }: Condition): Matcher => {
  if (typeof pattern !== 'string') return never;
  const read = propertyReader(key);
  const matches = key === 'content.body' ? globWordsMatcher(pattern) : globMatcher(pattern);
  return (event) => {
    const value = read(event);
    return typeof value === 'string' && matches(value);
  };
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

/** Makes a condition ready to be asked often. One of an unknown kind never holds (client-server API, Conditions). */
export const compileCondition = (condition: Condition): Matcher => {
  const { kind, key, value: wanted } = condition;
  switch (kind) {
    case 'event_match':
      return globCondition(condition);
    case 'event_property_is': {
      const read = propertyReader(key);
      return (event) => {
        const value = read(event);
        return isSimple(value) && value === wanted;
      };
    }
    case 'event_property_contains': {
      const read = propertyReader(key);
      return (event) => {
        const values = read(event);
        return Array.isArray(values) && isSimple(wanted) && (values as readonly JsonValue[]).includes(wanted!);
      };
    }
    case 'contains_display_name':
      return (event, context) => containsName(context.displayName, event.content.body);
    case 'room_member_count':
      return (_event, context) => matchesCount(condition.is, context.memberCount);
    case 'sender_notification_permission':
      return (event, { levels }) => typeof key === 'string' && levels.userLevel(event.sender) >= levels.notificationLevel(key);
    default:
      return never;
  }
};

/** Whether a condition holds for an event and a user. */
export const matchesCondition = (condition: Condition, event: ClientEvent, context: PushContext): boolean =>
  compileCondition(condition)(event, context);
