import { LRUCache } from 'lru-cache';
import type { Requester } from '#src/accounts/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { RateLimiters } from '#src/platform/http/rate-limits.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { MatrixError, roomInUse, unknown } from '#src/protocol/errors.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { checkCreators, checkInvites } from '#src/rooms/creation/checks.ts';
import type { Directory } from '#src/rooms/directory/index.ts';
import type { RoomDraft, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { MemberChange, Membership } from '#src/rooms/membership/index.ts';
import { checkAliases, checkContent, newAliases } from '#src/rooms/messaging/index.ts';
import { createContent, type InitialEvent, initialEvents, type Plan, presetOf, type RoomRequest } from '#src/rooms/creation/plan.ts';
import { createCreationLimits } from '#src/rooms/creation/limits.ts';
import { PRESETS } from '#src/rooms/creation/presets.ts';

export interface CreationDependencies {
  graph: RoomGraph;
  membership: Pick<Membership, 'changeIn' | 'profilesFor' | 'allowsInvites' | 'isElsewhere' | 'inviteElsewhere'>;
  directory: Pick<Directory, 'resolve' | 'checkAlias' | 'checkMayAlias' | 'mayPublish' | 'addAlias' | 'publish'>;
  clock: Clock;
  config: Pick<
    Config,
    'server_name' | 'default_room_version' | 'default_power_level_content_override' | 'encryption_enabled_by_default_for_room_type'
  >;
  limiters: Pick<RateLimiters, 'of'>;
  log: Logger;
}

/** Those for which something holds, and the others. */
const partition = <T>(all: readonly T[], holds: (each: T) => boolean): [T[], T[]] => [
  all.filter(holds),
  all.filter((each) => !holds(each)),
];

export interface Creation {
  /** Makes a room with all that the request wants, or nothing at all; answers its id. */
  createRoom(requester: Requester, request: RoomRequest): Promise<string>;
  /** The same, once for a transaction id of the requester's device: it is remembered for half an hour, or until a restart, as in Synapse. */
  createRoomOnce(requester: Requester, txnId: string, request: RoomRequest): Promise<string>;
}

const MAX_REMEMBERED = 10_000;
const REMEMBERED_MS = 30 * 60 * 1000;

/** Making rooms (client-server API, "Creation"). */
export const createCreation = (dependencies: CreationDependencies): Creation => {
  const { graph, membership, directory, clock, config, limiters, log } = dependencies;
  const takeLimits = createCreationLimits(limiters);
  let latestTs = 0;

  /** Times of creation never repeat: in rooms that are named by their create event's hash nothing else may tell two of them apart. */
  const creationTs = (): number => {
    latestTs = Math.max(clock.now(), latestTs + 1);
    return latestTs;
  };

  const aliasFor = async (name: string): Promise<string> => {
    if (/\s/u.test(name)) throw unknown('Invalid characters in room alias');
    if (name.includes(':')) {
      throw unknown(
        "':' is not permitted in the room alias name. Please note this expects a local part — 'wombat', not '#wombat:example.com'.",
      );
    }
    const alias = `#${name}:${config.server_name}`;
    directory.checkAlias(alias);
    if ((await directory.resolve(alias)) !== undefined) throw roomInUse('Room alias already taken');
    return alias;
  };

  const isEncrypted = (request: RoomRequest): boolean => {
    const rooms = config.encryption_enabled_by_default_for_room_type;
    return rooms === 'all' || (rooms === 'invite' && PRESETS[presetOf(request)].joinRule === 'invite');
  };

  const planFor = async (requester: Requester, request: RoomRequest): Promise<Plan> => ({
    request,
    version: roomVersion(request.room_version ?? config.default_room_version),
    creator: requester.userId,
    alias: request.room_alias_name === undefined ? undefined : await aliasFor(request.room_alias_name),
    powerLevelDefaults: config.default_power_level_content_override[presetOf(request)] as JsonObject | undefined,
    encrypted: isEncrypted(request),
  });

  const list = (draft: RoomDraft, requester: Requester, { alias, request }: Plan): void => {
    const { roomId, num } = draft.room;
    if (alias !== undefined) {
      directory.checkMayAlias(requester.userId, roomId, alias);
      draft.alongside(async (tx) => {
        if (!(await directory.addAlias(tx, alias, num, requester.userNum))) throw roomInUse('Room alias already taken');
      });
    }
    const isPublic = request.visibility === 'public' && directory.mayPublish(requester.userId, roomId, alias === undefined ? [] : [alias]);
    if (isPublic) draft.alongside((tx) => directory.publish(tx, num));
  };

  const append = async (
    draft: RoomDraft,
    sender: string,
    { type, stateKey, content }: InitialEvent,
    alias: string | undefined,
  ): Promise<void> => {
    checkContent(type, true, content, { roomId: draft.room.roomId, serverName: config.server_name });
    if (type === 'm.room.canonical_alias' && stateKey === '') {
      await checkAliases(newAliases(content, undefined), (each) => Promise.resolve(each === alias));
    }
    await draft.append({ sender, type, stateKey, content });
  };

  /**
   * Invites users of other servers into a new room, each server's one after another. The room is there already: who cannot be invited is left out of it, as the members
   * show.
   */
  const inviteAll = async (requester: Requester, room: RoomInfo, invites: readonly MemberChange[]): Promise<void> => {
    const byServer = Map.groupBy(invites, ({ target }) => domainOf(target));
    await Promise.all(
      [...byServer.values()].map(async (ofServer) => {
        for (const invite of ofServer) {
          try {
            await membership.inviteElsewhere(requester, room, invite);
          } catch (error) {
            if (!(error instanceof MatrixError)) throw error;
            log.info(`${invite.target} is not invited into the new room ${room.roomId}: ${error.message}`);
          }
        }
      }),
    );
  };

  const createRoom: Creation['createRoom'] = async (requester, request) => {
    const { userId } = requester;
    takeLimits(userId);
    checkInvites(request);
    const invitees = request.invite ?? [];
    if (invitees.length > 0 && !membership.allowsInvites(userId, invitees.length)) {
      throw unknown('Cannot invite so many users at once');
    }
    const plan = await planFor(requester, request);
    const content = createContent(plan);
    const events = initialEvents(plan);
    checkCreators(plan.version, userId, content, request, events);
    const join: MemberChange = { target: userId, action: 'join' };
    const inviteContent = request.is_direct === true ? { is_direct: true } : {};
    const [invites, invitesElsewhere] = partition(
      invitees.map((target): MemberChange => ({ target, action: 'invite', content: inviteContent })),
      (invite) => !membership.isElsewhere(requester, invite),
    );
    const profiles = await membership.profilesFor([join, ...invites]);
    const create = { sender: userId, type: 'm.room.create', stateKey: '', content, originServerTs: creationTs() };
    const { room } = await graph.createRoom(plan.version.id, create, async (draft) => {
      list(draft, requester, plan);
      await membership.changeIn(draft, requester, join, profiles);
      for (const event of events) await append(draft, userId, event, plan.alias);
      for (const invite of invites) await membership.changeIn(draft, requester, invite, profiles);
    });
    await inviteAll(requester, room, invitesElsewhere);
    return room.roomId;
  };

  const made = new LRUCache<string, Promise<string>>({
    max: MAX_REMEMBERED,
    ttl: REMEMBERED_MS,
    ttlResolution: 0,
    perf: { now: () => clock.monotonic() },
  });

  return {
    createRoom,
    createRoomOnce: async (requester, txnId, request) => {
      const key = JSON.stringify([requester.userNum, requester.deviceId ?? requester.sessionNum, txnId]);
      const known = made.get(key);
      if (known !== undefined) return known;
      const making = createRoom(requester, request);
      made.set(key, making);
      making.catch(() => made.delete(key));
      return making;
    },
  };
};
