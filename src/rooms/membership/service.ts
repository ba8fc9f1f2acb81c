import type { Requester } from '#src/accounts/index.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { RateLimiters } from '#src/platform/http/rate-limits.ts';
import { forbidden, invalidParam, notFound, unknown } from '#src/protocol/errors.ts';
import { domainOf, isRoomId, parseRoomAlias, parseUserId } from '#src/protocol/identifiers.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import type { Directory } from '#src/rooms/directory/index.ts';
import type { RoomDraft, RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import { letGuestsLeave } from '#src/rooms/membership/guests.ts';
import {
  checkKick,
  checkStep,
  isSaid,
  type MemberChange,
  memberContent,
  membershipFor,
  membershipIn,
  type MemberProfile,
  type MembershipAction,
} from '#src/rooms/membership/changes.ts';
import { createMembershipLimits } from '#src/rooms/membership/limits.ts';
import { authoriserFor } from '#src/rooms/membership/restricted.ts';

/** What rooms ask of the profiles, which live above them. */
export interface ProfileReader {
  /** The profiles of those users of this server who have one. */
  profilesOf(userNums: readonly number[]): Promise<ReadonlyMap<number, MemberProfile>>;
}

export interface MembershipDependencies {
  graph: RoomGraph;
  strings: Strings;
  directory: Pick<Directory, 'resolve'>;
  profiles: ProfileReader;
  config: Pick<Config, 'server_name' | 'block_non_admin_invites' | 'allow_per_room_profiles' | 'include_profile_data_on_invite'>;
  limiters: Pick<RateLimiters, 'of'>;
}

export interface Membership {
  /**
   * Changes a membership; a change that changes nothing answers with the event that is there. Throws `badState`, `forbidden`, `notFound`,
   * `limitExceeded` and what authorisation says.
   */
  change(requester: Requester, roomId: string, change: MemberChange): Promise<RoomEvent>;
  /** The same within a command of the caller's and without limits; `profiles` are of `profilesFor`. */
  changeIn(draft: RoomDraft, requester: Requester, change: MemberChange, profiles: ReadonlyMap<string, MemberProfile>): Promise<RoomEvent>;
  /** Lets this server's guests leave a room that has been closed to them. */
  dismissGuests(room: RoomInfo): Promise<void>;
  /** The profiles that go into these changes' events, by user id. */
  profilesFor(changes: readonly Pick<MemberChange, 'target' | 'action'>[]): Promise<ReadonlyMap<string, MemberProfile>>;
  /** Whether so many invites at once are within `rc_invites`. */
  allowsInvites(userId: string, count: number): boolean;
  /** A room's id by its id or a local alias. Throws `notFound` for an alias that is not known, `invalidParam` for what is neither. */
  roomIdOf(roomIdOrAlias: string): Promise<string>;
  joinedRooms(userNum: number): Promise<string[]>;
  /** Hides a room that the user has left. Throws `unknown` while the user is in it. */
  forget(requester: Requester, roomId: string): Promise<void>;
}

const unknownRoom = (action: MembershipAction, userId: string, roomId: string) => {
  if (action === 'join' || action === 'knock') {
    return notFound("Can't join this room: this server does not know it, and does not reach rooms of other servers");
  }
  return action === 'leave' ? notFound('Not a known room') : forbidden(`User ${userId} not in room ${roomId}`);
};

const guestsMayJoin = async (draft: RoomDraft): Promise<boolean> =>
  (await draft.state('m.room.guest_access', ''))?.pdu.content.guest_access === 'can_join';

/** Who is in which room: joining, leaving, inviting, knocking, kicking and banning (client-server API, "Room membership"). */
export const createMembership = (dependencies: MembershipDependencies): Membership => {
  const { graph, strings, directory, config } = dependencies;
  const limits = createMembershipLimits(dependencies.limiters);
  const messageLimiter = dependencies.limiters.of('rc_message');
  const withProfile: ReadonlySet<MembershipAction> = new Set(
    config.include_profile_data_on_invite ? ['join', 'knock', 'invite'] : ['join', 'knock'],
  );

  const checkTarget = (requester: Requester, { action, target }: MemberChange): void => {
    if (parseUserId(target) === undefined) throw invalidParam(`Invalid user id: ${target}`);
    if (action !== 'invite') return;
    if (domainOf(target) !== config.server_name) throw unknown(`Can't invite ${target}: this server does not reach other servers`);
    if (config.block_non_admin_invites && !requester.isAdmin) throw forbidden('Invites have been disabled on this server');
  };

  const profilesFor: Membership['profilesFor'] = async (changes) => {
    const userNums = new Map<number, string>();
    for (const { target, action } of changes) {
      if (!withProfile.has(action) || domainOf(target) !== config.server_name) continue;
      const userNum = strings.peekNum(target) ?? (await strings.numOf(target));
      if (userNum !== undefined) userNums.set(userNum, target);
    }
    if (userNums.size === 0) return new Map();
    const found = await dependencies.profiles.profilesOf([...userNums.keys()]);
    return new Map([...found].map(([userNum, profile]) => [userNums.get(userNum) ?? '', profile]));
  };

  const rightsToJoin = async (draft: RoomDraft, requester: Requester, current: RoomEvent | undefined): Promise<JsonObject> => {
    if (requester.isGuest && !(await guestsMayJoin(draft))) throw forbidden('Guest access not allowed');
    const reads = { graph, strings, serverName: config.server_name };
    const authoriser = await authoriserFor(draft, reads, requester, membershipIn(current));
    return authoriser === undefined ? {} : { join_authorised_via_users_server: authoriser };
  };

  /** Makes the event, once `pass` has let a real change through. */
  const apply = async (
    draft: RoomDraft,
    requester: Requester,
    change: MemberChange,
    profile: MemberProfile | undefined,
    pass: (current: unknown) => void,
  ): Promise<RoomEvent> => {
    const { target, action } = change;
    const current = await draft.state('m.room.member', target);
    checkStep(action, membershipIn(current));
    const content = memberContent(change, { profile, perRoomProfiles: config.allow_per_room_profiles, isGuest: requester.isGuest });
    if (current !== undefined && isSaid(current, requester.userId, content)) return current;
    checkKick(action, membershipIn(current));
    pass(membershipIn(current));
    const rights = action === 'join' && target === requester.userId ? await rightsToJoin(draft, requester, current) : {};
    return draft.append({ sender: requester.userId, type: 'm.room.member', stateKey: target, content: { ...content, ...rights } });
  };

  const changeIn: Membership['changeIn'] = async (draft, requester, change, profiles) => {
    checkTarget(requester, change);
    return apply(draft, requester, change, profiles.get(change.target), () => undefined);
  };

  const roomOf = async (requester: Requester, roomId: string, action: MembershipAction): Promise<RoomInfo> => {
    const room = await graph.room(roomId);
    if (room === undefined) throw unknownRoom(action, requester.userId, roomId);
    return room;
  };

  return {
    change: async (requester, roomId, change) => {
      checkTarget(requester, change);
      const room = await roomOf(requester, roomId, change.action);
      const profile = (await profilesFor([change])).get(change.target);
      return graph.write(room, async (draft) =>
        apply(draft, requester, change, profile, (current) => {
          messageLimiter.check(requester.userId, { count: false });
          const membership = membershipFor(change.action);
          if (membership === 'join' && current !== 'join') limits.join(requester.userId, roomId);
          if (membership === 'invite') limits.invite(requester.userId, roomId, change.target);
          messageLimiter.check(requester.userId);
        }),
      );
    },
    changeIn,
    dismissGuests: async (room) => letGuestsLeave(graph, changeIn, config.server_name, room),
    profilesFor,
    allowsInvites: (userId, count) => limits.allowsInvites(userId, count),
    roomIdOf: async (roomIdOrAlias) => {
      const isId: boolean = isRoomId(roomIdOrAlias);
      if (isId) return roomIdOrAlias;
      if (parseRoomAlias(roomIdOrAlias) === undefined) throw invalidParam(`${roomIdOrAlias} was not legal room ID or room alias`);
      const room = await directory.resolve(roomIdOrAlias);
      if (room === undefined) throw notFound(`Room alias ${roomIdOrAlias} not found`);
      return room.roomId;
    },
    joinedRooms: async (userNum) => {
      const joined = [...(await graph.memberships.ofUser(userNum)).values()].filter((row) => row.membership === 'join');
      const rooms = await graph.rooms(joined.map((row) => row.roomNum));
      return [...rooms.values()].map((room) => room.roomId);
    },
    forget: async (requester, roomId) => {
      const room = await graph.room(roomId);
      const row = room && (await graph.memberships.in(room.num, requester.userNum));
      if (row === undefined) return;
      if (row.membership !== 'leave' && row.membership !== 'ban') throw unknown(`User ${requester.userId} is in room ${roomId}`);
      await graph.memberships.forget(row.roomNum, row.userNum);
    },
  };
};
