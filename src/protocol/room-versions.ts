import { unsupportedRoomVersion } from '#src/protocol/errors.ts';

/** Everything in which room versions differ. A new version is a new row of the table below. */
export interface RoomVersion {
  readonly id: string;
  /** Whether the specification describes it. */
  readonly stable: boolean;
  /** `prev_events` and `auth_events` are `[id, hashes]` pairs, or plain ids. */
  readonly references: 'pairs' | 'ids';
  /** An event's id is named by its sender, or is its reference hash in standard or URL-safe Base64. */
  readonly eventIds: 'given' | 'base64' | 'url-safe-base64';
  /** A room's id is `!opaque:domain`, or the create event's id with `!` for `$` (the create event then has no `room_id`). */
  readonly roomIds: 'opaque' | 'create-event';
  /** Where `redacts` stands. */
  readonly redactsIn: 'event' | 'content';
  readonly stateResolution: 'v1' | 'v2' | 'v2.1';
  /** The version that last changed the redaction rules. */
  readonly redactionRules: 1 | 6 | 8 | 9 | 11;
  /** Numbers must be integers within ±(2^53 − 1), and `depth` has the same limit. */
  readonly strictCanonicalJson: boolean;
  /** A signing key counts only if it is valid at `origin_server_ts`. */
  readonly enforcesKeyValidity: boolean;
  /** Limits of keys of 255 are bytes for everybody; before, peers also keep events with up to 255 code points, as rejected ones. */
  readonly strictByteLimits: boolean;
  /** `m.room.aliases` has a rule of its own. */
  readonly aliasesRule: boolean;
  /** The redact level is an authorisation rule; later it is looked at when a redaction is applied. */
  readonly redactionRule: boolean;
  readonly knock: boolean;
  readonly restricted: boolean;
  readonly knockRestricted: boolean;
  /** Changes of `notifications` levels are authorised. */
  readonly notificationLevelsRule: boolean;
  /** A state key may be a user id, `_` and more; it is that user's, or of those who stand above that user (MSC3757). */
  readonly suffixedStateKeys: boolean;
  /** How a power level may be written. */
  readonly powerLevels: 'integers' | 'integers-or-strings' | 'numbers-or-strings';
  /** The creator stands in the create event's `content.creator`, or is its sender. */
  readonly creator: 'content' | 'sender';
  /** Creators, also `content.additional_creators`, stand above all power levels. */
  readonly privilegedCreators: boolean;
  /** `auth_events` name the create event; else `room_id` implies it. */
  readonly createInAuthEvents: boolean;
}

const v1: RoomVersion = {
  id: '1',
  stable: true,
  references: 'pairs',
  eventIds: 'given',
  roomIds: 'opaque',
  redactsIn: 'event',
  stateResolution: 'v1',
  redactionRules: 1,
  strictCanonicalJson: false,
  enforcesKeyValidity: false,
  strictByteLimits: false,
  aliasesRule: true,
  redactionRule: true,
  knock: false,
  restricted: false,
  knockRestricted: false,
  notificationLevelsRule: false,
  suffixedStateKeys: false,
  powerLevels: 'numbers-or-strings',
  creator: 'content',
  privilegedCreators: false,
  createInAuthEvents: true,
};

const v2: RoomVersion = { ...v1, id: '2', stateResolution: 'v2' };
const v3: RoomVersion = { ...v2, id: '3', references: 'ids', eventIds: 'base64', redactionRule: false };
const v4: RoomVersion = { ...v3, id: '4', eventIds: 'url-safe-base64' };
const v5: RoomVersion = { ...v4, id: '5', enforcesKeyValidity: true };
const v6: RoomVersion = {
  ...v5,
  id: '6',
  redactionRules: 6,
  strictCanonicalJson: true,
  aliasesRule: false,
  notificationLevelsRule: true,
  powerLevels: 'integers-or-strings',
};
const v7: RoomVersion = { ...v6, id: '7', knock: true };
const v8: RoomVersion = { ...v7, id: '8', redactionRules: 8, restricted: true };
const v9: RoomVersion = { ...v8, id: '9', redactionRules: 9 };
const v10: RoomVersion = { ...v9, id: '10', knockRestricted: true, powerLevels: 'integers' };
const v11: RoomVersion = { ...v10, id: '11', redactsIn: 'content', redactionRules: 11, strictByteLimits: true, creator: 'sender' };
const v12: RoomVersion = {
  ...v11,
  id: '12',
  roomIds: 'create-event',
  stateResolution: 'v2.1',
  privilegedCreators: true,
  createInAuthEvents: false,
};

/** Versions of proposals, as Synapse has them. */
const msc3757v10: RoomVersion = { ...v10, id: 'org.matrix.msc3757.10', stable: false, suffixedStateKeys: true };
const msc3757v11: RoomVersion = { ...v11, id: 'org.matrix.msc3757.11', stable: false, suffixedStateKeys: true };
/** What version 12 was called before it was accepted. */
const hydra: RoomVersion = { ...v12, id: 'org.matrix.hydra.11', stable: false };

/** All versions that this server can take part in, by id. */
export const ROOM_VERSIONS: ReadonlyMap<string, RoomVersion> = new Map(
  [v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, msc3757v10, msc3757v11, hydra].map((version) => [version.id, version]),
);

/** The version with this id. Throws `unsupportedRoomVersion` for one that is unknown. */
export const roomVersion = (id: string): RoomVersion => {
  const version = ROOM_VERSIONS.get(id);
  if (version === undefined) {
    throw unsupportedRoomVersion('This server does not support the room version', { room_version: id.slice(0, 32) });
  }
  return version;
};
