import { isDeepStrictEqual } from 'node:util';
import { badJson, badState, forbidden } from '#src/protocol/errors.ts';
import type { JsonObject, JsonValue } from '#src/protocol/json.ts';
import type { RoomEvent } from '#src/rooms/graph/index.ts';

/** What a user can do about a membership. `kick` and `unban` become `leave` in the event. */
export type MembershipAction = 'join' | 'invite' | 'leave' | 'kick' | 'ban' | 'unban' | 'knock';

export type MembershipValue = Exclude<MembershipAction, 'kick' | 'unban'>;

const MEMBERSHIPS: ReadonlySet<unknown> = new Set<MembershipValue>(['join', 'invite', 'leave', 'ban', 'knock']);

export const isMembership = (value: unknown): value is MembershipValue => MEMBERSHIPS.has(value);

export const membershipFor = (action: MembershipAction): MembershipValue => (action === 'kick' || action === 'unban' ? 'leave' : action);

/** The name and avatar that a member event carries; a field that is not set is undefined. */
export interface MemberProfile {
  readonly displayname: string | undefined;
  readonly avatarUrl: string | undefined;
}

/** A change of somebody's membership. */
export interface MemberChange {
  readonly target: string;
  readonly action: MembershipAction;
  /** Further keys for the event: a reason, `is_direct`, or what a client wrote. */
  readonly content?: JsonObject;
}

const MAX_DISPLAYNAME = 256;
const MAX_AVATAR_URL = 1000;

const checkLength = (value: JsonValue | undefined, name: string, maxLength: number): void => {
  if (typeof value === 'string' && value.length > maxLength) throw badJson(`${name} is too long (max ${String(maxLength)})`);
};

/**
 * The content of a member event: what was asked for, and of the profile what it does not say itself.
 * Throws `badJson` for a name or avatar that is too long.
 */
export const memberContent = (
  change: MemberChange,
  options: { readonly profile: MemberProfile | undefined; readonly perRoomProfiles: boolean; readonly isGuest: boolean },
): JsonObject => {
  // An authoriser is this server's to name: what a client sends back of an older event would not be signed.
  const { join_authorised_via_users_server: _, membership: __, displayname, avatar_url: avatarUrl, ...rest } = change.content ?? {};
  const own = options.perRoomProfiles ? { displayname, avatar_url: avatarUrl } : {};
  checkLength(own.displayname, 'Displayname', MAX_DISPLAYNAME);
  checkLength(own.avatar_url, 'Avatar URL', MAX_AVATAR_URL);
  const fields = {
    displayname: own.displayname === undefined ? options.profile?.displayname : own.displayname,
    avatar_url: own.avatar_url === undefined ? options.profile?.avatarUrl : own.avatar_url,
  };
  return {
    ...rest,
    ...(fields.displayname === undefined ? {} : { displayname: fields.displayname }),
    ...(fields.avatar_url === undefined ? {} : { avatar_url: fields.avatar_url }),
    ...(options.isGuest ? { kind: 'guest' } : {}),
    membership: membershipFor(change.action),
  };
};

/** What the user is in the room by this event; undefined for one who has never been there. */
export const membershipIn = (event: RoomEvent | undefined): JsonValue | undefined => event?.pdu.content.membership;

const AFTER_BAN: ReadonlySet<MembershipAction> = new Set(['ban', 'unban', 'leave']);

/** Throws `badState` for steps that make no sense after what the user is now. */
export const checkStep = (action: MembershipAction, current: JsonValue | undefined): void => {
  if (action === 'unban' && current !== 'ban') {
    throw badState(`Cannot unban user who was not banned (membership=${typeof current === 'string' ? current : 'leave'})`);
  }
  if (current === 'ban' && !AFTER_BAN.has(action)) throw badState(`Cannot ${action} user who was banned`);
};

/** Throws `forbidden` for kicking somebody who is not there; to be asked once the change is known to be one. */
export const checkKick = (action: MembershipAction, current: JsonValue | undefined): void => {
  const isAway = current === undefined || current === 'leave' || current === 'ban';
  if (action === 'kick' && isAway) throw forbidden('The target user is not in the room');
};

/** Whether a member event says already what a new one would say. */
export const isSaid = (event: RoomEvent | undefined, sender: string, content: JsonObject): boolean => {
  if (event === undefined || event.redactedBy !== undefined || event.pdu.sender !== sender) return false;
  const { join_authorised_via_users_server: _, ...said } = event.pdu.content;
  return isDeepStrictEqual(said, content);
};
