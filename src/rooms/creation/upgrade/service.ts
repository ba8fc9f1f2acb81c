import { isDeepStrictEqual } from 'node:util';
import { LRUCache } from 'lru-cache';
import type { Requester } from '#src/accounts/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { RateLimiters } from '#src/platform/http/rate-limits.ts';
import { forbidden, invalidParam, MatrixError, notFound, unknown } from '#src/protocol/errors.ts';
import { isUserId } from '#src/protocol/identifiers.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { creatorsOf } from '#src/protocol/power-levels.ts';
import { type RoomVersion, roomVersion } from '#src/protocol/room-versions.ts';
import { createCreationLimits } from '#src/rooms/creation/limits.ts';
import { createContent, initialEvents, type RoomRequest } from '#src/rooms/creation/plan.ts';
import { carriedBans, carriedState, partedAliases } from '#src/rooms/creation/upgrade/carried-state.ts';
import { restrictedLevels, successorLevels, type WholeLevels, wholeLevels } from '#src/rooms/creation/upgrade/levels.ts';
import type { Directory } from '#src/rooms/directory/index.ts';
import type { NewEvent, RoomDraft, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import { shownPdu } from '#src/rooms/history/index.ts';
import type { Membership } from '#src/rooms/membership/index.ts';

export interface UpgradeDependencies {
  graph: RoomGraph;
  membership: Pick<Membership, 'changeIn' | 'profilesFor'>;
  directory: Pick<Directory, 'move' | 'aliasesOf'>;
  clock: Clock;
  config: Pick<Config, 'server_name' | 'default_power_level_content_override' | 'encryption_enabled_by_default_for_room_type'>;
  limiters: Pick<RateLimiters, 'of'>;
}

/** What somebody wants a room replaced by. */
export interface UpgradeRequest {
  readonly new_version: string;
  /** Who else stands above the levels of the new room; only from version 12 on. */
  readonly additional_creators?: unknown;
}

export interface Upgrades {
  /**
   * Replaces a room by a new one and closes it; answers the new room's id. The same user is answered the same for five minutes. Throws `unsupportedRoomVersion`,
   * `notFound`, `forbidden` where the user may not set the tombstone, and `unknown` while somebody else has the room upgraded.
   */
  upgrade(requester: Requester, roomId: string, request: UpgradeRequest): Promise<string>;
}

/** So many events of the new room are written at a time. */
const EVENTS_AT_ONCE = 500;
const MAX_REMEMBERED = 10_000;
const REMEMBERED_MS = 5 * 60 * 1000;
const PRESET = 'private_chat';

const creatorsIn = (version: RoomVersion, { additional_creators: additional }: UpgradeRequest): readonly string[] | undefined => {
  if (!version.privilegedCreators || additional === undefined || additional === null) return undefined;
  const isList = Array.isArray(additional) && (additional as readonly unknown[]).every(isUserId);
  if (!isList) throw invalidParam('additional_creators must be a list of user ids');
  return additional as readonly string[];
};

/** Appends an event where the rules let it in: the room is replaced also where its own rules keep it from being closed in every way. */
const appendIfAllowed = async (draft: RoomDraft, event: NewEvent): Promise<void> => {
  try {
    await draft.append(event);
  } catch (error) {
    if (!(error instanceof MatrixError) || error.errcode !== 'M_FORBIDDEN') throw error;
  }
};

/** Replacing rooms by rooms of another version (client-server API, "Room Upgrades"). */
export const createUpgrades = (dependencies: UpgradeDependencies): Upgrades => {
  const { graph, membership, directory, clock, config } = dependencies;
  const takeLimits = createCreationLimits(dependencies.limiters);

  const isEncrypted = (state: NonNullable<RoomRequest['initial_state']>): boolean => {
    const rooms = config.encryption_enabled_by_default_for_room_type;
    const isOpen = state.some(({ type, content }) => type === 'm.room.join_rules' && content.join_rule === 'public');
    return rooms === 'all' || (rooms === 'invite' && !isOpen);
  };

  /** All events of the new room behind its creator's join, in order. */
  const successorEvents = async (
    draft: RoomDraft,
    version: RoomVersion,
    { sender, create, creators, levels, aliases }: Carried,
  ): Promise<NewEvent[]> => {
    const state = await carriedState(graph, draft, shownPdu(create, draft.version).content);
    const formerCreators = draft.version.privilegedCreators ? creatorsOf(create.pdu, draft.version) : [];
    const carried = levels && successorLevels(levels, { version, upgrader: sender, creators, formerCreators });
    const first = carried === undefined ? [] : [{ type: 'm.room.power_levels', content: carried.meanwhile as JsonObject }];
    const events = initialEvents({
      request: { preset: PRESET, initial_state: [...first, ...state] },
      version,
      creator: sender,
      alias: undefined,
      powerLevelDefaults: config.default_power_level_content_override[PRESET] as JsonObject | undefined,
      encrypted: isEncrypted(state),
    });
    const isSettled = carried === undefined || isDeepStrictEqual(carried.meanwhile, carried.final);
    const last = [
      ...(Object.keys(aliases).length === 0 ? [] : [{ type: 'm.room.canonical_alias', stateKey: '', content: aliases }]),
      ...(isSettled ? [] : [{ type: 'm.room.power_levels', stateKey: '', content: carried.final as JsonObject }]),
    ];
    // Before there are levels the creator may ban everybody, also those who are banned and still have a level.
    return [...(await carriedBans(graph, draft, sender)), ...[...events, ...last].map((event) => ({ sender, ...event }))];
  };

  const makeSuccessor = async (
    requester: Requester,
    roomId: string,
    version: RoomVersion,
    create: NewEvent,
    events: readonly NewEvent[],
  ): Promise<RoomInfo> => {
    const join = { target: requester.userId, action: 'join' } as const;
    const profiles = await membership.profilesFor([join]);
    const appendAll = async (draft: RoomDraft, start: number): Promise<void> => {
      for (const event of events.slice(start, start + EVENTS_AT_ONCE)) await draft.append(event);
    };
    const begin = async (draft: RoomDraft): Promise<void> => {
      await membership.changeIn(draft, requester, join, profiles);
      await appendAll(draft, 0);
    };
    const { room } = await graph.createRoom(version.id, create, begin, roomId);
    for (let start = EVENTS_AT_ONCE; start < events.length; start += EVENTS_AT_ONCE) {
      await graph.write(room, async (draft) => appendAll(draft, start));
    }
    return room;
  };

  const replaceIn = async (draft: RoomDraft, requester: Requester, version: RoomVersion, request: UpgradeRequest): Promise<string> => {
    const { userId: sender } = requester;
    const before = await draft.state('m.room.create', '');
    if (before === undefined) throw forbidden(`User ${sender} not in room ${draft.room.roomId}`);
    const additional = creatorsIn(version, request);
    const createEvent = successorCreate(draft, version, { sender, content: before.pdu.content, additional, now: clock.now() });
    const roomId = graph.newRoomId(version.id, createEvent(undefined));
    const tombstone = { body: 'This room has been replaced', replacement_room: roomId };
    const { eventId } = await draft.append({ sender, type: 'm.room.tombstone', stateKey: '', content: tombstone });
    const levelsEvent = await draft.state('m.room.power_levels', '');
    const levels = levelsEvent && wholeLevels(shownPdu(levelsEvent, draft.version).content, draft.version);
    const named = await draft.state('m.room.canonical_alias', '');
    const names = named === undefined ? {} : shownPdu(named, draft.version).content;
    const aliases = partedAliases(names, config.server_name, new Set(await directory.aliasesOf(draft.room.num)));
    const creators = [sender, ...(additional ?? [])];
    const carried = { sender, create: before, creators, levels, aliases: aliases.taken };
    const events = await successorEvents(draft, version, carried);
    // The old room waits for the new one: so nothing happens in it that would not be carried over, and nobody is sent to a room that does not exist.
    const successor = await makeSuccessor(requester, roomId, version, createEvent(eventId), events);
    draft.alongside((tx) => directory.move(tx, draft.room.num, successor.num));
    if (!isDeepStrictEqual(aliases.left, names))
      await appendIfAllowed(draft, { sender, type: 'm.room.canonical_alias', stateKey: '', content: aliases.left });
    const restricted = levels && restrictedLevels(levels);
    if (restricted !== undefined) await appendIfAllowed(draft, { sender, type: 'm.room.power_levels', stateKey: '', content: restricted });
    return roomId;
  };

  const lately = new LRUCache<number, { readonly userNum: number; readonly replacement: Promise<string> }>({
    max: MAX_REMEMBERED,
    ttl: REMEMBERED_MS,
    ttlResolution: 0,
    perf: { now: () => clock.monotonic() },
  });

  return {
    upgrade: async (requester, roomId, request) => {
      const version = roomVersion(request.new_version);
      creatorsIn(version, request);
      takeLimits(requester.userId);
      const old = await graph.room(roomId);
      if (old === undefined) throw notFound(`Unknown room id ${roomId}`);
      const known = lately.get(old.num);
      if (known?.userNum === requester.userNum) return known.replacement;
      if (known !== undefined) throw unknown('An upgrade for this room is currently in progress');
      const replacement = graph.write(old, async (draft) => replaceIn(draft, requester, version, request));
      lately.set(old.num, { userNum: requester.userNum, replacement });
      replacement.catch(() => lately.delete(old.num));
      return replacement;
    },
  };
};

/** What of the old room the new one's events are made of. */
interface Carried {
  readonly sender: string;
  readonly create: NonNullable<Awaited<ReturnType<RoomDraft['state']>>>;
  /** Those who stand above the new room's levels, where its version has that. */
  readonly creators: readonly string[];
  readonly levels: WholeLevels | undefined;
  /** The content of the new room's `m.room.canonical_alias`. */
  readonly aliases: JsonObject;
}

/** The new room's create event, once the tombstone's id is known; a room that is named by its create event cannot name the tombstone, which names the room. */
const successorCreate =
  (
    { room }: Pick<RoomDraft, 'room'>,
    version: RoomVersion,
    { sender, content, additional, now }: { sender: string; content: JsonObject; additional: readonly string[] | undefined; now: number },
  ) =>
  (tombstoneId: string | undefined): NewEvent => {
    const isNamed = version.roomIds === 'opaque' && tombstoneId !== undefined;
    const creation_content: JsonObject = {
      predecessor: { room_id: room.roomId, ...(isNamed ? { event_id: tombstoneId } : {}) },
      ...(additional === undefined ? {} : { additional_creators: additional }),
      ...(content['m.federate'] === false ? { 'm.federate': false } : {}),
      ...(typeof content.type === 'string' ? { type: content.type } : {}),
    };
    const request = { preset: PRESET, creation_content } as const;
    return {
      sender,
      type: 'm.room.create',
      stateKey: '',
      content: createContent({ request, version, creator: sender }),
      originServerTs: now,
    };
  };
