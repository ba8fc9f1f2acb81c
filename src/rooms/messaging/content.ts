import { badJson, invalidParam, unknown } from '#src/protocol/errors.ts';
import type { JsonObject, JsonValue } from '#src/protocol/json.ts';
import { isJsonObject } from '#src/protocol/json.ts';
import { aclAllows } from '#src/protocol/server-acl.ts';

/** Where an event is to be sent, as far as its content's checks want to know. */
export interface ContentPlace {
  /** Undefined while the room has no id yet. */
  readonly roomId: string | undefined;
  readonly serverName: string;
}

type Check = (content: JsonObject, place: ContentPlace) => void;

const strings =
  (...keys: readonly string[]): Check =>
  (content) => {
    for (const key of keys) {
      if (content[key] === undefined) throw unknown(`'${key}' not in content`);
      if (typeof content[key] !== 'string') throw unknown(`'${key}' not a string type`);
    }
  };

const isLevel = (value: JsonValue | undefined): boolean => value === undefined || Number.isSafeInteger(value);

const LEVELS = ['ban', 'events_default', 'invite', 'kick', 'redact', 'state_default', 'users_default'];
const LEVEL_MAPS = ['events', 'notifications', 'users'];

const checkPowerLevels: Check = (content) => {
  for (const key of LEVELS) if (!isLevel(content[key])) throw badJson(`"${key}": ${JSON.stringify(content[key])} is not of type 'integer'`);
  for (const key of LEVEL_MAPS) {
    const levels = content[key];
    if (levels === undefined) continue;
    if (!isJsonObject(levels)) throw badJson(`"${key}": ${JSON.stringify(levels)} is not of type 'object'`);
    for (const [name, level] of Object.entries(levels)) {
      if (!isLevel(level)) throw badJson(`"${name}": ${JSON.stringify(level)} is not of type 'integer'`);
    }
  }
};

const checkServerAcl: Check = (content, { serverName }) => {
  if (!aclAllows(content, serverName)) throw unknown("Can't create an ACL event that denies the local server");
};

const checkRetention: Check = ({ min_lifetime: least, max_lifetime: most }) => {
  for (const [key, value] of Object.entries({ min_lifetime: least, max_lifetime: most })) {
    if (value !== undefined && value !== null && !Number.isSafeInteger(value)) throw badJson(`'${key}' must be an integer`);
  }
  if (typeof least === 'number' && typeof most === 'number' && least > most) {
    throw badJson("'min_lifetime' can't be greater than 'max_lifetime'");
  }
};

const checkTombstone: Check = ({ replacement_room: replacement }, { roomId }) => {
  if (replacement === undefined) throw unknown('Content has no replacement_room key');
  if (replacement === roomId) throw unknown('Tombstone cannot reference the room it was sent in');
};

const checkAliases: Check = ({ aliases }) => {
  const isTooLong = Array.isArray(aliases) && aliases.some((alias) => typeof alias === 'string' && alias.length > 255);
  if (isTooLong) throw invalidParam("Can't create aliases longer than 255 characters");
};

const CHECKS: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['m.room.message', strings('body', 'msgtype')],
  ['m.room.name', strings('name')],
  ['m.room.topic', strings('topic')],
  ['m.room.power_levels', checkPowerLevels],
  ['m.room.server_acl', checkServerAcl],
  ['m.room.retention', checkRetention],
  ['m.room.tombstone', checkTombstone],
  ['m.room.aliases', checkAliases],
]);

const STATE_ONLY: ReadonlySet<string> = new Set(['m.room.name', 'm.room.topic', 'm.room.member', 'm.room.tombstone', 'm.room.retention']);

const checkMentions = (mentions: JsonValue): void => {
  if (!isJsonObject(mentions)) throw badJson(`${JSON.stringify(mentions)} is not of type 'object'`);
  const { user_ids: userIds, room } = mentions;
  const areStrings = userIds === undefined || (Array.isArray(userIds) && userIds.every((each) => typeof each === 'string'));
  if (!areStrings) throw badJson('"user_ids": must be a list of strings');
  if (room !== undefined && typeof room !== 'boolean') throw badJson(`"room": ${JSON.stringify(room)} is not of type 'boolean'`);
};

/**
 * Refuses content that its event type does not allow: what a client of this server may send, which is stricter than what is taken from
 * other servers. Throws `badJson`, `unknown` or `invalidParam`.
 */
export const checkContent = (type: string, isState: boolean, content: JsonObject, place: ContentPlace): void => {
  if (type === 'm.room.create') throw invalidParam('Cannot resend m.room.create event');
  // A redaction has rights to be checked and a transaction id; as state it would have neither.
  if (isState && type === 'm.room.redaction') throw unknown("'m.room.redaction' must not be a state event");
  if (!isState && STATE_ONLY.has(type)) throw unknown(`'${type}' must be state events`);
  CHECKS.get(type)?.(content, place);
  if (content['m.mentions'] !== undefined) checkMentions(content['m.mentions']);
};
