import type { JsonObject, JsonValue } from '#src/protocol/json.ts';
import { isJsonObject } from '#src/protocol/json.ts';
import { DEFAULT_LEVELS, parseLevel } from '#src/protocol/power-levels.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';

/** What the specification suggests for those who may go on speaking in a room that has been replaced. */
const MODERATOR = 50;
const OWNER = 100;

type Levels = Readonly<Record<string, number>>;

/** Power levels with whole numbers only, as every room version takes them. */
export interface WholeLevels {
  readonly [name: string]: number | Levels;
}

const wholeLevel = (value: JsonValue | undefined, version: RoomVersion): number | undefined => {
  const level = parseLevel(value, version);
  return level === undefined ? undefined : Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(level)));
};

const wholeMap = (levels: JsonObject, version: RoomVersion): Levels =>
  Object.fromEntries(
    Object.entries(levels).flatMap(([name, value]) => {
      const level = wholeLevel(value, version);
      return level === undefined ? [] : [[name, level] as const];
    }),
  );

/** The levels of a room as whole numbers: texts where its version takes them, and without what is no level. */
export const wholeLevels = (content: JsonObject, version: RoomVersion): WholeLevels =>
  Object.fromEntries(
    Object.entries(content).flatMap(([name, value]) => {
      const level = isJsonObject(value) ? wholeMap(value, version) : wholeLevel(value, version);
      return level === undefined ? [] : [[name, level] as const];
    }),
  );

const mapIn = (levels: WholeLevels, name: string): Levels => {
  const found = levels[name];
  return typeof found === 'object' ? found : {};
};

const levelIn = (levels: WholeLevels, name: string, otherwise: number): number => {
  const found = levels[name];
  return typeof found === 'number' ? found : otherwise;
};

/** What a replaced room asks for speaking and inviting from now on; undefined where it asks for that much already. */
export const restrictedLevels = (levels: WholeLevels): WholeLevels | undefined => {
  const needed = Math.min(Number.MAX_SAFE_INTEGER, Math.max(levelIn(levels, 'users_default', 0) + 1, MODERATOR));
  const raised = ['invite', 'events_default'].filter((name) => levelIn(levels, name, 0) < needed);
  return raised.length === 0 ? undefined : { ...levels, ...Object.fromEntries(raised.map((name) => [name, needed])) };
};

/** Who stands where in the replaced room and in its successor. */
export interface Standings {
  readonly version: RoomVersion;
  readonly upgrader: string;
  /** Those who stand above the levels of the new room, from version 12 on. */
  readonly creators: readonly string[];
  /** Those who stood above the levels of the old one. */
  readonly formerCreators: readonly string[];
}

/** The levels of the new room: while its state is being carried over, and after that. */
export const successorLevels = (
  levels: WholeLevels,
  { version, upgrader, creators, formerCreators }: Standings,
): { readonly meanwhile: WholeLevels; readonly final: WholeLevels } => {
  const users = mapIn(levels, 'users');
  if (version.privilegedCreators) {
    const others = Object.fromEntries(Object.entries(users).filter(([userId]) => !creators.includes(userId)));
    const final = 'users' in levels ? { ...levels, users: others } : levels;
    return { meanwhile: final, final };
  }
  const needed = Math.max(levelIn(levels, 'state_default', DEFAULT_LEVELS.state_default), ...Object.values(mapIn(levels, 'events')));
  // Who stood above all levels would be nobody where creators have a level like others.
  const owners = Object.fromEntries(formerCreators.map((userId) => [userId, Math.max(OWNER, needed)]));
  const final: WholeLevels = formerCreators.length === 0 ? levels : { ...levels, users: { ...users, ...owners } };
  const finalUsers = mapIn(final, 'users');
  const current = (Object.hasOwn(finalUsers, upgrader) ? finalUsers[upgrader] : undefined) ?? levelIn(levels, 'users_default', 0);
  return { meanwhile: current < needed ? { ...final, users: { ...finalUsers, [upgrader]: needed } } : final, final };
};
