import type { Pdu } from '#src/protocol/events.ts';
import type { JsonObject, JsonValue } from '#src/protocol/json.ts';
import { isExactNumber, isJsonObject, member } from '#src/protocol/json.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';

/** A level as levels are compared: beyond ±(2^53 − 1), which versions before 10 allow, a `bigint`. */
export type Level = number | bigint;

/** The rank of a version 12 room's creators: above every level that can be written. It never stands in JSON. */
export const CREATOR_LEVEL = Number.POSITIVE_INFINITY;

/** The levels with a name of their own in `m.room.power_levels`, and what they are where it is silent. */
export const DEFAULT_LEVELS = {
  users_default: 0,
  events_default: 0,
  state_default: 50,
  ban: 50,
  redact: 50,
  kick: 50,
  invite: 0,
} as const;

export type LevelName = keyof typeof DEFAULT_LEVELS;

/** Who may do what in a room, read from its create and power levels events. */
export interface PowerLevels {
  userLevel(userId: string): Level;
  /** What it takes to send an event of this type. */
  requiredLevel(type: string, isState: boolean): Level;
  /** One of the named levels, as for `invite`, `kick`, `ban` and `redact`. */
  level(name: LevelName): Level;
  /** What it takes to notify the whole room in this way (`room`); 50 unless it says otherwise. */
  notificationLevel(key: string): Level;
}

const DEFAULT_NOTIFICATION_LEVEL = 50;
const CREATOR_LEVEL_WITHOUT_EVENT = 100;
/** White space as the servers that made old rooms see it, which is Python's. */
const SPACE = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]*';
const INTEGER_TEXT = new RegExp(`^${SPACE}([+-]?\\d+)${SPACE}$`);
/** Python reads no longer ones; it also keeps the work small. */
const MAX_LEVEL_DIGITS = 4300;

const integerFromText = (text: string): Level | undefined => {
  if (text.replace(/^[+-]/, '').length > MAX_LEVEL_DIGITS) return undefined;
  const number = Number(text);
  // Adding 0 makes 0 of −0.
  return Number.isSafeInteger(number) ? number + 0 : BigInt(text.replace('+', ''));
};

const integerFromFloat = (value: number): Level | undefined => {
  if (!Number.isFinite(value)) return undefined;
  const whole = Math.trunc(value) + 0;
  return Number.isSafeInteger(whole) ? whole : BigInt(whole);
};

const levelFromNumber = (value: number | string, version: RoomVersion): Level | undefined => {
  if (typeof value === 'string' && /^-?\d+$/.test(value)) return integerFromText(value);
  return version.powerLevels === 'numbers-or-strings' ? integerFromFloat(Number(value)) : undefined;
};

/**
 * A level as the room version allows it to be written; `undefined` for anything else. Versions before 10 take texts, those before 6 also floats,
 * which are truncated (room versions 1 and 6, Deprecated event content schemas).
 */
export const parseLevel = (value: JsonValue | undefined, version: RoomVersion): Level | undefined => {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  if (version.powerLevels === 'integers') return undefined;
  if (typeof value === 'string') {
    const text = INTEGER_TEXT.exec(value)?.[1];
    return text === undefined ? undefined : integerFromText(text);
  }
  const number = typeof value === 'number' ? value : isExactNumber(value) ? value.rawJSON : undefined;
  return number === undefined ? undefined : levelFromNumber(number, version);
};

/** The users who made the room: one in versions before 12, then perhaps more. */
export const creatorsOf = (create: Pick<Pdu, 'sender' | 'content'>, version: RoomVersion): readonly string[] => {
  if (version.creator === 'content') return typeof create.content.creator === 'string' ? [create.content.creator] : [];
  const additional = version.privilegedCreators ? create.content.additional_creators : undefined;
  return Array.isArray(additional)
    ? [create.sender, ...(additional as readonly JsonValue[]).filter((user) => typeof user === 'string')]
    : [create.sender];
};

const entries = (content: JsonObject | undefined, key: string): JsonObject => {
  const value = content?.[key];
  return isJsonObject(value) ? value : {};
};

/**
 * The levels that hold where these are the room's create and power levels events. Nothing is computed before it is asked for: rooms
 * may list tens of thousands of users.
 */
export const powerLevels = (
  create: Pick<Pdu, 'sender' | 'content'> | undefined,
  event: Pick<Pdu, 'content'> | undefined,
  version: RoomVersion,
): PowerLevels => {
  const content = event?.content;
  const isCreator = (userId: string): boolean => create !== undefined && creatorsOf(create, version).includes(userId);
  const level = (name: LevelName): Level => parseLevel(content?.[name], version) ?? DEFAULT_LEVELS[name];
  return {
    level,
    userLevel: (userId) => {
      if (version.privilegedCreators && isCreator(userId)) return CREATOR_LEVEL;
      if (content === undefined) return isCreator(userId) ? CREATOR_LEVEL_WITHOUT_EVENT : 0;
      return parseLevel(member(entries(content, 'users'), userId), version) ?? level('users_default');
    },
    requiredLevel: (type, isState) =>
      parseLevel(member(entries(content, 'events'), type), version) ?? level(isState ? 'state_default' : 'events_default'),
    notificationLevel: (key) => parseLevel(member(entries(content, 'notifications'), key), version) ?? DEFAULT_NOTIFICATION_LEVEL,
  };
};
