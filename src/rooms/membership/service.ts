import type { Requester } from '#src/accounts/index.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { RateLimiters } from '#src/platform/http/rate-limits.ts';
import { forbidden, invalidParam, notFound, unknown } from '#src/protocol/errors.ts';
import { domainOf, isRoomId, parseRoomAlias, parseUserId } from '#src/protocol/identifiers.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import type { Directory, RemoteDirectory } from '#src/rooms/directory/index.ts';
import type { NewEvent, RoomDraft, RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import { createEntering } from '#src/rooms/membership/entering.ts';
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
import { NOBODY, type RemoteMembership, toldState } from '#src/rooms/membership/remote.ts';
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
  remoteDirectory: Pick<RemoteDirectory, 'alias'>;
  profiles: ProfileReader;
  config: Pick<Config, 'server_name' | 'block_non_admin_invites' | 'allow_per_room_profiles' | 'include_profile_data_on_invite'>;
  limiters: Pick<RateLimiters, 'of'>;
}

export interface Membership {
  /**
   * Changes a membership; a change that changes nothing answers with the event that is there. Throws `badState`, `forbidden`, `notFound`,
   * `limitExceeded`, what authorisation says and, where it takes other servers, what `RemoteMembership` says. `servers` are said to be in the room that is to be entered.
   */
  change(requester: Requester, roomId: string, change: MemberChange, servers?: readonly string[]): Promise<RoomEvent>;
  /** Lets a user leave, decline or take back a knock without limits. */
  leave(requester: Requester, room: RoomInfo): Promise<RoomEvent>;
  /** Invites a user of another server without limits. */
  inviteElsewhere(requester: Requester, room: RoomInfo, change: MemberChange): Promise<RoomEvent>;
  /** Whether it takes the user's server to invite them. Throws as `changeIn` does for those who cannot be invited. */
  isElsewhere(requester: Requester, change: MemberChange): boolean;
  /** Says how other servers are reached; before, none is. */
  reachBy(remote: RemoteMembership): void;
  /** A change in a room of this server within a command of the caller's and without limits; `profiles` are of `profilesFor`. */
  changeIn(draft: RoomDraft, requester: Requester, change: MemberChange, profiles: ReadonlyMap<string, MemberProfile>): Promise<RoomEvent>;
  /** Lets this server's guests leave a room that has been closed to them. */
  dismissGuests(room: RoomInfo): Promise<void>;
  /** The profiles that go into these changes' events, by user id. */
  profilesFor(changes: readonly Pick<MemberChange, 'target' | 'action'>[]): Promise<ReadonlyMap<string, MemberProfile>>;
  /** Whether so many invites at once are within `rc_invites`. */
  allowsInvites(userId: string, count: number): boolean;
  /**
   * A room's id by its id or an alias, with servers that the alias' server says are in it. Throws `notFound` for an alias that is not known, `invalidParam` for what is neither, and
   * what the alias' server says.
   */
  locate(roomIdOrAlias: string): Promise<{ readonly roomId: string; readonly servers: readonly string[] }>;
  joinedRooms(userNum: number): Promise<string[]>;
  /** Hides a room that the user has left. Throws `unknown` while the user is in it. */
  forget(requester: Requester, roomId: string): Promise<void>;
}

const unknownRoom = (action: MembershipAction, userId: string, roomId: string) =>
  action === 'leave' ? notFound('Not a known room') : forbidden(`User ${userId} not in room ${roomId}`);

const guestsMayJoin = async (draft: RoomDraft): Promise<boolean> =>
  (await draft.state('m.room.guest_access', ''))?.pdu.content.guest_access === 'can_join';

/** Who is in which room: joining, leaving, inviting, knocking, kicking and banning (client-server API, "Room membership"). */
export const createMembership = (dependencies: MembershipDependencies): Membership => {
  const { graph, strings, directory, remoteDirectory, config } = dependencies;
  let remote = NOBODY;
  const limits = createMembershipLimits(dependencies.limiters);
  const messageLimiter = dependencies.limiters.of('rc_message');
  const withProfile: ReadonlySet<MembershipAction> = new Set(
    config.include_profile_data_on_invite ? ['join', 'knock', 'invite'] : ['join', 'knock'],
  );

  const checkTarget = (requester: Requester, { action, target }: MemberChange): void => {
    if (parseUserId(target) === undefined) throw invalidParam(`Invalid user id: ${target}`);
    if (action !== 'invite') return;
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

  /** The event that is there, or once `pass` has let a real change through the one to make. */
  const prepare = async (
    draft: RoomDraft,
    requester: Requester,
    change: MemberChange,
    profile: MemberProfile | undefined,
    pass: (current: unknown) => void,
  ): Promise<RoomEvent | NewEvent> => {
    const { target, action } = change;
    const current = await draft.state('m.room.member', target);
    checkStep(action, membershipIn(current));
    const content = memberContent(change, { profile, perRoomProfiles: config.allow_per_room_profiles, isGuest: requester.isGuest });
    if (current !== undefined && isSaid(current, requester.userId, content)) return current;
    checkKick(action, membershipIn(current));
    pass(membershipIn(current));
    const rights = action === 'join' && target === requester.userId ? await rightsToJoin(draft, requester, current) : {};
    return { sender: requester.userId, type: 'm.room.member', stateKey: target, content: { ...content, ...rights } };
  };

  const apply = async (
    draft: RoomDraft,
    requester: Requester,
    change: MemberChange,
    profile: MemberProfile | undefined,
    pass: (current: unknown) => void,
  ): Promise<RoomEvent> => {
    const prepared = await prepare(draft, requester, change, profile, pass);
    return 'eventId' in prepared ? prepared : draft.append(prepared);
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

  const profileFor = async (change: MemberChange): Promise<MemberProfile | undefined> => (await profilesFor([change])).get(change.target);

  const passLimits =
    ({ userId }: Requester, roomId: string, { target, action }: MemberChange) =>
    (current: unknown): void => {
      messageLimiter.check(userId, { count: false });
      const membership = membershipFor(action);
      if (membership === 'join' && current !== 'join') limits.join(userId, roomId);
      if (membership === 'invite') limits.invite(userId, roomId, target);
      messageLimiter.check(userId);
    };

  /** A change in a room that this server is in. */
  const changeHere = async (requester: Requester, room: RoomInfo, change: MemberChange): Promise<RoomEvent> => {
    const profile = await profileFor(change);
    return graph.write(room, async (draft) => apply(draft, requester, change, profile, passLimits(requester, room.roomId, change)));
  };

  const changeUnlimited = async (requester: Requester, room: RoomInfo, change: MemberChange): Promise<RoomEvent> =>
    graph.write(room, async (draft) => changeIn(draft, requester, change, new Map()));

  const entering = createEntering({
    graph,
    limits,
    limitMessages: (userId) => messageLimiter.check(userId),
    remote: () => remote,
    changeHere,
    contentOf: async ({ isGuest }, change) =>
      memberContent(change, { profile: await profileFor(change), perRoomProfiles: config.allow_per_room_profiles, isGuest }),
  });

  const isElsewhere: Membership['isElsewhere'] = (requester, change) => {
    checkTarget(requester, change);
    return change.action === 'invite' && domainOf(change.target) !== config.server_name;
  };

  const inviteElsewhere = async (
    requester: Requester,
    room: RoomInfo,
    change: MemberChange,
    pass: (current: unknown) => void,
  ): Promise<RoomEvent> => {
    const prepared = await graph.write(room, async (draft) => {
      const wanted = await prepare(draft, requester, change, undefined, pass);
      if ('eventId' in wanted) return wanted;
      return { target: change.target, event: await draft.template(wanted), told: await toldState(draft, requester.userId) };
    });
    return 'eventId' in prepared ? prepared : remote.invite(room, prepared);
  };

  return {
    change: async (requester, roomId, change, servers = []) => {
      checkTarget(requester, change);
      const { action, target } = change;
      const isOwn = target === requester.userId;
      if (isOwn && (action === 'join' || action === 'knock')) return entering.enter(requester, roomId, change, servers);
      const room = await roomOf(requester, roomId, action);
      if (isOwn && action === 'leave')
        return entering.leave(requester, room, change, { changeHere, pass: () => messageLimiter.check(requester.userId) });
      if (isElsewhere(requester, change)) return inviteElsewhere(requester, room, change, passLimits(requester, roomId, change));
      return changeHere(requester, room, change);
    },
    leave: async (requester, room) =>
      entering.leave(
        requester,
        room,
        { target: requester.userId, action: 'leave' },
        { changeHere: changeUnlimited, pass: () => undefined },
      ),
    isElsewhere,
    inviteElsewhere: async (requester, room, change) => inviteElsewhere(requester, room, change, () => undefined),
    reachBy: (by) => {
      remote = by;
    },
    changeIn,
    dismissGuests: async (room) => letGuestsLeave(graph, changeIn, config.server_name, room),
    profilesFor,
    allowsInvites: (userId, count) => limits.allowsInvites(userId, count),
    locate: async (roomIdOrAlias) => {
      const isId: boolean = isRoomId(roomIdOrAlias);
      if (isId) return { roomId: roomIdOrAlias, servers: [] };
      const alias = parseRoomAlias(roomIdOrAlias);
      if (alias === undefined) throw invalidParam(`${roomIdOrAlias} was not legal room ID or room alias`);
      const room = await directory.resolve(roomIdOrAlias);
      if (room !== undefined) return { roomId: room.roomId, servers: [] };
      const found = alias.serverName === config.server_name ? undefined : await remoteDirectory.alias(roomIdOrAlias);
      if (found === undefined) throw notFound(`Room alias ${roomIdOrAlias} not found`);
      return found;
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
