import type { JsonObject } from '#src/protocol/json.ts';
import { isJsonObject } from '#src/protocol/json.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import { type Preset, PRESETS } from '#src/rooms/creation/presets.ts';

export interface InitialLevels {
  readonly version: RoomVersion;
  readonly creator: string;
  readonly invitees: readonly string[];
  readonly preset: Preset;
  /** `default_power_level_content_override` for the preset. */
  readonly configOverride: JsonObject | undefined;
  /** `power_level_content_override` of the request. */
  readonly requestOverride: JsonObject | undefined;
}

const layOver = (base: JsonObject, over: JsonObject): JsonObject => {
  const merged: Record<string, JsonObject[string]> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = base[key];
    merged[key] = isJsonObject(below) && isJsonObject(value) ? layOver(below, value) : value;
  }
  return merged;
};

/** Creators have a level in `users` but where, from version 12, they stand above all levels. */
const initialUsers = ({ version, creator, invitees, preset }: InitialLevels): JsonObject => {
  if (version.privilegedCreators) return {};
  const trusted = PRESETS[preset].trustsInvitees ? invitees : [];
  return Object.fromEntries([...trusted, creator].map((userId) => [userId, 100]));
};

/** The content of a new room's `m.room.power_levels`: the usual, then the preset's, the configuration's and the request's, the last two key by key. */
export const initialPowerLevels = (wanted: InitialLevels): JsonObject => {
  const usual: JsonObject = {
    users: initialUsers(wanted),
    users_default: 0,
    events: {
      'm.room.name': 50,
      'm.room.power_levels': 100,
      'm.room.history_visibility': 100,
      'm.room.canonical_alias': 50,
      'm.room.avatar': 50,
      // Where creators stand above 100, closing a room is theirs.
      'm.room.tombstone': wanted.version.privilegedCreators ? 150 : 100,
      'm.room.server_acl': 100,
      'm.room.encryption': 100,
    },
    events_default: 0,
    state_default: 50,
    ban: 50,
    kick: 50,
    redact: 50,
    invite: 50,
    historical: 100,
  };
  return { ...layOver(usual, PRESETS[wanted.preset].powerLevels), ...wanted.configOverride, ...wanted.requestOverride };
};
