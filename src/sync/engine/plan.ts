import type { SyncFilter } from '#src/filters/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { MembershipChange, MembershipRow, RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { IgnoredUsers, RoomReader } from '#src/rooms/history/index.ts';
import type { Audience } from '#src/sync/engine/audience.ts';
import type { ReadRoots } from '#src/sync/engine/roots.ts';
import { roomsWithEvents } from '#src/sync/engine/views.ts';
import type { RoomMoves } from '#src/sync/ports.ts';

/** What is asked of the engine. */
export interface EngineRequest {
  readonly reader: RoomReader;
  /** The position up to which the reader knows the events; undefined for who knows nothing. */
  readonly since: number | undefined;
  /** Every room with its full state, whatever changed. */
  readonly fullState: boolean;
  readonly filter: SyncFilter;
  /** State is given as it is after the timeline, instead of before it. */
  readonly stateAfter: boolean;
}

/** A room that is to be shown with a timeline and state. */
export interface RoomPlan {
  readonly room: RoomInfo;
  readonly kind: 'join' | 'leave';
  /** The timeline begins after this position; undefined where the reader knows nothing of the room. */
  readonly after: number | undefined;
  readonly upTo: number;
  /** All of the state is wanted, not what changed. */
  readonly isFull: boolean;
  /** The reader came in since the last time. */
  readonly isNew: boolean;
  /** The event by which the reader left. */
  readonly left: RoomEvent | undefined;
  /** The reader left not when that event came, but when the room's state, resolved anew, took it in. */
  readonly byResolution: boolean;
  /** The reader was never in: there is nothing to see but the leaving. */
  readonly onlyLeaving: boolean;
}

/** A room to which the reader is invited, or on which the reader knocks, with the event that says so. */
export interface OutsidePlan {
  readonly room: RoomInfo;
  readonly event: RoomEvent;
}

export interface Plan {
  /** The position up to which the answer is complete. */
  readonly upTo: number;
  readonly rooms: readonly RoomPlan[];
  readonly invited: readonly OutsidePlan[];
  readonly knocked: readonly OutsidePlan[];
  /** All rooms that the reader is in and the filter lets through, by number; also those that have nothing new. */
  readonly joined: ReadonlyMap<number, RoomInfo>;
  readonly moves: RoomMoves;
}

export interface PlanTools {
  readonly database: Database;
  readonly graph: Pick<RoomGraph, 'events' | 'memberships' | 'rooms' | 'states'>;
  readonly audience: Audience;
  readonly readRoots: ReadRoots;
  readonly ignoredUsers: IgnoredUsers;
  /** `exclude_rooms_from_sync`. */
  readonly excludedRooms: ReadonlySet<string>;
}

export type MakePlan = (request: EngineRequest) => Promise<Plan>;

/** A room's changes in the stretch, with what the reader was before it. */
interface Moved {
  readonly changes: readonly MembershipChange[];
  readonly before: string | undefined;
}

const isGone = (membership: string): boolean => membership === 'leave' || membership === 'ban';

/** Decides which rooms an answer shows, and how, from the reader's memberships and what moved. */
export const createPlanner = ({ database, graph, audience, readRoots, ignoredUsers, excludedRooms }: PlanTools): MakePlan => {
  const { events, memberships, states } = graph;

  /** The reader's memberships and the position at which they are that; nothing is awaited between the two. */
  const snapshot = async (reader: RoomReader): Promise<{ rows: readonly MembershipRow[]; upTo: number }> => {
    const rows = await memberships.ofUser(reader.userNum);
    while (audience.isBehind()) await audience.caughtUp();
    audience.enter(reader.userNum, rows.values());
    return { rows: [...rows.values()], upTo: audience.upTo() };
  };

  const movesSince = async (reader: RoomReader, since: number, upTo: number): Promise<ReadonlyMap<number, Moved>> => {
    const last = audience.lastMembershipChange(reader.userNum);
    const moved = new Map<number, Moved>();
    if (last !== undefined && last <= since) return moved;
    const changes = Map.groupBy(await memberships.changes(reader.userNum, since, upTo), (change) => change.room_num);
    const roots = since === 0 ? undefined : await readRoots([...(await graph.rooms([...changes.keys()])).values()], since);
    const held = new Map<number, number>();
    for (const [roomNum, root] of roots ?? []) {
      const num = await states.get(roomNum, root, 'm.room.member', reader.userId);
      if (num !== undefined) held.set(roomNum, num);
    }
    const before = await events.byNums([...held.values()]);
    for (const [roomNum, inRoom] of changes) {
      const num = held.get(roomNum);
      const membership = num === undefined ? undefined : before.get(num)?.pdu.content.membership;
      moved.set(roomNum, { changes: inRoom, before: typeof membership === 'string' ? membership : undefined });
    }
    return moved;
  };

  /** Which of the rooms have events since; from memory, unless that was before the process started. */
  const activeRooms = async (roomNums: readonly number[], since: number, upTo: number): Promise<ReadonlySet<number>> => {
    if (since < audience.since())
      return database.read('rooms with events', async (reader) => roomsWithEvents(reader, roomNums, since, upTo));
    return new Set(roomNums.filter((num) => (audience.activity(num)?.last ?? 0) > since));
  };

  /** Of rooms that have events since, those that may have member events. */
  const roomsWithMemberEvents = (active: ReadonlySet<number>, since: number): number[] =>
    [...active].filter((num) => since < audience.since() || (audience.activity(num)?.lastMemberEvent ?? 0) > since);

  const joinPlan = (
    room: RoomInfo,
    request: EngineRequest,
    moved: Moved | undefined,
    active: boolean,
    upTo: number,
  ): RoomPlan | undefined => {
    const { since, fullState } = request;
    const isNew = moved !== undefined && (moved.before !== 'join' || moved.changes.some((change) => change.membership !== 'join'));
    if (since !== undefined && !fullState && !isNew && !active) return undefined;
    return {
      room,
      kind: 'join',
      after: isNew ? undefined : since,
      upTo,
      isFull: since === undefined || fullState || isNew,
      isNew,
      left: undefined,
      byResolution: false,
      onlyLeaving: false,
    };
  };

  const leavePlan = (room: RoomInfo, since: number | undefined, moved: Moved | undefined, left: RoomEvent): RoomPlan => {
    const wasIn = moved?.before === 'join';
    const cameIn = moved?.changes.some((change) => change.membership === 'join') === true;
    const after = wasIn && !cameIn ? since : undefined;
    const leftAt = moved?.changes.at(-1)?.stream_position ?? left.position;
    const byResolution = leftAt !== left.position;
    const hasState = byResolution || left.stateRoot !== undefined;
    return {
      room,
      kind: 'leave',
      after,
      upTo: leftAt ?? 0,
      isFull: after === undefined,
      isNew: cameIn,
      left,
      byResolution,
      onlyLeaving: leftAt === undefined || !hasState || !(wasIn || cameIn),
    };
  };

  return async (request) => {
    const { reader, since, filter } = request;
    const { rows, upTo } = await snapshot(reader);
    const moved =
      since !== undefined
        ? await movesSince(reader, since, upTo)
        : filter.includeLeave
          ? await movesSince(reader, 0, upTo)
          : new Map<number, Moved>();
    const wanted = rows.filter((row) => {
      if (row.membership === 'join') return true;
      if (since !== undefined) return moved.has(row.roomNum);
      return isGone(row.membership) ? filter.includeLeave && !row.forgotten : true;
    });
    const infos = await graph.rooms(wanted.map((row) => row.roomNum));
    const outside = await events.byNums(wanted.filter((row) => row.membership !== 'join').map((row) => row.eventNum));
    const joinedNums = wanted.filter((row) => row.membership === 'join').map((row) => row.roomNum);
    const active = since === undefined ? new Set<number>() : await activeRooms(joinedNums, since, upTo);
    const ignored = await ignoredUsers(reader.userNum);
    const plan = {
      rooms: [] as RoomPlan[],
      invited: [] as OutsidePlan[],
      knocked: [] as OutsidePlan[],
      joined: new Map<number, RoomInfo>(),
    };
    for (const row of wanted) {
      const room = infos.get(row.roomNum);
      if (room === undefined || excludedRooms.has(room.roomId) || !letsThrough(filter, room)) continue;
      const event = outside.get(row.eventNum);
      if (row.membership === 'join') {
        plan.joined.set(room.num, room);
        const joined = joinPlan(room, request, since === undefined ? undefined : moved.get(room.num), active.has(room.num), upTo);
        if (joined !== undefined) plan.rooms.push(joined);
      } else if (event !== undefined && row.membership === 'invite') {
        if (!ignored.has(event.senderNum)) plan.invited.push({ room, event });
      } else if (event !== undefined && row.membership === 'knock') {
        plan.knocked.push({ room, event });
      } else if (event !== undefined) {
        plan.rooms.push(leavePlan(room, since, moved.get(room.num), event));
      }
    }
    const ofKind = (pick: (each: RoomPlan) => boolean): number[] => plan.rooms.filter(pick).map((each) => each.room.num);
    const newlyJoined = ofKind((each) => each.kind === 'join' && each.isNew);
    const after = since ?? upTo;
    return {
      upTo,
      ...plan,
      moves: {
        newlyJoined,
        newlyLeft: since === undefined ? [] : ofKind((each) => each.kind === 'leave'),
        stayedIn: { roomNums: roomsWithMemberEvents(active, after).filter((num) => !newlyJoined.includes(num)), after, upTo },
      },
    };
  };
};

const letsThrough = (filter: SyncFilter, { roomId }: RoomInfo): boolean =>
  !filter.notRooms.has(roomId) && (filter.rooms === undefined || filter.rooms.has(roomId));
