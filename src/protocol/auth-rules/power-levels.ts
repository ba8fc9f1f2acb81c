import { isUserId } from '#src/protocol/identifiers.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { isJsonObject, member } from '#src/protocol/json.ts';
import type { Level, LevelName } from '#src/protocol/power-levels.ts';
import { creatorsOf, DEFAULT_LEVELS, parseLevel } from '#src/protocol/power-levels.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { Check, Rule, Verdict } from '#src/protocol/auth-rules/check.ts';
import { ALLOWED, rejected } from '#src/protocol/auth-rules/check.ts';

const NAMED_LEVELS = Object.keys(DEFAULT_LEVELS) as LevelName[];

/** Rules 10.1 and 10.2: from version 10 all levels are integers. */
const checkIntegers = ({ pdu: { content }, version }: Check): Verdict | undefined => {
  if (version.powerLevels !== 'integers') return undefined;
  for (const name of NAMED_LEVELS) {
    if (content[name] !== undefined && parseLevel(content[name], version) === undefined)
      return rejected('10.1', `${name} is not an integer`);
  }
  for (const key of ['events', 'notifications']) {
    const levels = content[key];
    if (levels === undefined) continue;
    if (!isJsonObject(levels) || !Object.values(levels).every((level) => parseLevel(level, version) !== undefined)) {
      return rejected('10.2', `${key} is not an object of integers`);
    }
  }
  return undefined;
};

/** Rule 10.3: `users` has user ids and levels. */
const checkUsers = ({ pdu: { content }, version }: Check): Verdict | undefined => {
  const { users } = content;
  if (users === undefined) return undefined;
  const isFit =
    isJsonObject(users) && Object.entries(users).every(([user, level]) => isUserId(user) && parseLevel(level, version) !== undefined);
  return isFit ? undefined : rejected('10.3', 'users is not an object of user ids and levels');
};

/** Rule 10.4: creators, where they stand above all, are not in `users`. */
const checkNoCreators = ({ pdu: { content }, create, version }: Check): Verdict | undefined => {
  const { users } = content;
  if (!version.privilegedCreators || !isJsonObject(users)) return undefined;
  const listed = creatorsOf(create.pdu, version).find((creator) => member(users, creator) !== undefined);
  return listed === undefined ? undefined : rejected('10.4', `${listed} created the room and has no power level`);
};

/** A level before and after; `undefined` where it is not there. */
interface Change {
  readonly key: string;
  readonly current: Level | undefined;
  readonly next: Level | undefined;
  /** Something stands there that is no level, which versions before 10 let pass in a room's first power levels. */
  readonly isUnreadable: boolean;
}

const changesBetween = (before: unknown, after: unknown, version: RoomVersion, keys?: readonly string[]): Change[] => {
  const current: JsonObject = isJsonObject(before) ? before : {};
  const next: JsonObject = isJsonObject(after) ? after : {};
  return (keys ?? [...new Set([...Object.keys(current), ...Object.keys(next)])])
    .map((key) => {
      const written = member(next, key);
      const level = parseLevel(written, version);
      const isUnreadable = written !== undefined && level === undefined;
      return { key, current: parseLevel(member(current, key), version), next: level, isUnreadable };
    })
    .filter((change) => change.current !== change.next || change.isUnreadable);
};

const isAbove = (level: Level | undefined, own: Level): boolean => level !== undefined && level > own;

/** Rule 10.6: nobody moves a named level from or to above his own. */
const checkNamedLevels = (changes: readonly Change[], own: Level): Verdict | undefined => {
  for (const { key, current, next, isUnreadable } of changes) {
    if (isAbove(current, own)) return rejected('10.6.1', `You don't have permission to change ${key}, which is above your level`);
    if (isUnreadable || isAbove(next, own)) return rejected('10.6.2', `You don't have permission to set ${key} above your level`);
  }
  return undefined;
};

/** Rules 10.7 and 10.8: the same for `events` and `notifications`. */
const checkEntries = (changes: readonly Change[], own: Level): Verdict | undefined => {
  for (const { key, current, next, isUnreadable } of changes) {
    if (isAbove(current, own)) return rejected('10.7.1', `You don't have permission to change the level of ${key}, which is above yours`);
    if (isUnreadable || isAbove(next, own)) return rejected('10.8.1', `You don't have permission to set the level of ${key} above yours`);
  }
  return undefined;
};

/** Rules 10.9 and 10.10: nobody touches another user of his own level or above, nor lifts anybody above it. */
const checkUserLevels = (changes: readonly Change[], own: Level, sender: string): Verdict | undefined => {
  for (const { key, current, next } of changes) {
    if (key !== sender && current !== undefined && current >= own) {
      return rejected('10.9.1', `You don't have permission to change the level of ${key}, which is not below yours`);
    }
    if (isAbove(next, own)) return rejected('10.10.1', `You don't have permission to give ${key} a level above yours`);
  }
  return undefined;
};

/** Rule 10 (9 before version 12): `m.room.power_levels`. */
export const checkPowerLevels: Rule = (check) => {
  const { pdu, state, version, levels } = check;
  const fault = checkIntegers(check) ?? checkUsers(check) ?? checkNoCreators(check);
  if (fault !== undefined) return fault;
  const before = state('m.room.power_levels', '')?.pdu.content;
  // Rule 10.5.
  if (before === undefined) return ALLOWED;
  const own = levels.userLevel(pdu.sender);
  const after = pdu.content;
  const changedEntries = (key: string): Change[] => changesBetween(before[key], after[key], version);
  return (
    checkNamedLevels(changesBetween(before, after, version, NAMED_LEVELS), own) ??
    checkEntries([...changedEntries('events'), ...(version.notificationLevelsRule ? changedEntries('notifications') : [])], own) ??
    checkUserLevels(changedEntries('users'), own, pdu.sender) ??
    ALLOWED
  );
};
