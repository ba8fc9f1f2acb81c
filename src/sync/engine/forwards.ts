import type { SyncFilter } from '#src/filters/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { RoomReader, Shown, Visibility } from '#src/rooms/history/index.ts';
import type { Audience } from '#src/sync/engine/audience.ts';
import type { MakePlan, Plan } from '#src/sync/engine/plan.ts';
import { oldestOfRooms } from '#src/sync/engine/views.ts';

/** What is asked of a reading that leaves nothing out. */
export interface ForwardRequest {
  readonly reader: RoomReader;
  readonly since: number;
  readonly filter: SyncFilter;
  /** Looks into this room alone, as all the world may, instead of into the reader's own. */
  readonly peekInto: RoomInfo | undefined;
  /** So many events are looked at; 1 or more. */
  readonly limit: number;
}

/** The next events for one reader, oldest first. */
export interface ForwardReading extends Pick<Plan, 'rooms' | 'joined' | 'moves'> {
  readonly shown: readonly Shown[];
  /** The position up to which the reading is complete. */
  readonly upTo: number;
  /** Whether there is more after it. */
  readonly isCut: boolean;
}

export interface ForwardTools {
  readonly database: Database;
  readonly graph: Pick<RoomGraph, 'events' | 'memberships' | 'timeline'>;
  readonly audience: Pick<Audience, 'isBehind' | 'caughtUp' | 'upTo'>;
  readonly visibility: Pick<Visibility, 'visible'>;
  readonly plan: MakePlan;
}

/** Up to so many rooms are read one by one, which memory mostly answers. */
const FEW_ROOMS = 8;

/** An event at the place where the reader learns of it. */
interface Placed {
  readonly room: RoomInfo;
  readonly event: RoomEvent;
  readonly position: number;
}

/** The stretch of a room that the reader may have something to see of. */
interface Stretch {
  readonly room: RoomInfo;
  readonly upTo: number;
}

const byPosition = (a: Placed, b: Placed): number => a.position - b.position;

/** Reads a reader's rooms from where the reader left off, oldest first and without gaps, by the plan that every answer goes by. */
export const createForwards = ({ database, graph, audience, visibility, plan }: ForwardTools) => {
  /** What all the world sees of one room. */
  const peek = async (room: RoomInfo): Promise<Plan> => {
    while (audience.isBehind()) await audience.caughtUp();
    const upTo = audience.upTo();
    const moves = { newlyJoined: [], newlyLeft: [], stayedIn: { roomNums: [], after: upTo, upTo } };
    return { upTo, rooms: [], invited: [], knocked: [], joined: new Map([[room.num, room]]), moves };
  };

  const fromFew = async (stretches: readonly Stretch[], since: number, limit: number): Promise<Placed[] | undefined> => {
    const found: Placed[] = [];
    for (const { room, upTo } of stretches) {
      const { events, limited } = await graph.timeline.newest(room.num, since, upTo, limit);
      if (limited) return undefined;
      for (const event of events) found.push({ room, event, position: event.position as number });
    }
    return found;
  };

  const fromMany = async (stretches: readonly Stretch[], since: number, limit: number): Promise<Placed[]> => {
    const found: Placed[] = [];
    for (const [upTo, group] of Map.groupBy(stretches, (stretch) => stretch.upTo)) {
      const rooms = new Map(group.map(({ room }) => [room.num, room]));
      const nums = await database.read('oldest of rooms', async (reader) => oldestOfRooms(reader, [...rooms.keys()], since, upTo, limit));
      for (const event of await graph.events.list(nums))
        found.push({ room: rooms.get(event.roomNum) as RoomInfo, event, position: event.position as number });
    }
    return found;
  };

  /** What became of the reader, in whatever rooms the plan shows. */
  const ownChanges = async ({ reader, since }: ForwardRequest, planned: Plan): Promise<Placed[]> => {
    const rooms = new Map(planned.joined);
    for (const { room } of [...planned.rooms, ...planned.invited, ...planned.knocked]) rooms.set(room.num, room);
    const changes = await graph.memberships.changes(reader.userNum, since, planned.upTo);
    const events = await graph.events.byNums(changes.map((change) => change.event_num));
    return changes.flatMap(({ room_num: roomNum, event_num: num, stream_position: position }) => {
      const [room, event] = [rooms.get(roomNum), events.get(num)];
      return room === undefined || event === undefined ? [] : [{ room, event, position }];
    });
  };

  /** Of some events, in their order, those that the reader may see. */
  const visibleOf = async (reader: RoomReader, placed: readonly Placed[]): Promise<Shown[]> => {
    const shown = new Map<number, Shown>();
    for (const inRoom of Map.groupBy(placed, ({ room }) => room.num).values()) {
      const events = inRoom.map(({ event }) => event);
      for (const each of await visibility.visible(reader, (inRoom[0] as Placed).room, events)) shown.set(each.event.num, each);
    }
    return placed.flatMap(({ event }) => shown.get(event.num) ?? []);
  };

  return async (request: ForwardRequest): Promise<ForwardReading> => {
    const { reader, since, filter, limit, peekInto } = request;
    const planned =
      peekInto === undefined ? await plan({ reader, since, fullState: false, filter, stateAfter: false }) : await peek(peekInto);
    const stretches: readonly Stretch[] =
      peekInto === undefined ? planned.rooms.filter((each) => !each.onlyLeaving) : [{ room: peekInto, upTo: planned.upTo }];
    const few = stretches.length > FEW_ROOMS ? undefined : await fromFew(stretches, since, limit);
    const inRooms = few ?? (await fromMany(stretches, since, limit));
    const own = peekInto === undefined ? await ownChanges(request, planned) : [];
    const all = new Map<string, Placed>();
    for (const each of [...inRooms, ...own]) all.set(`${String(each.event.num)} ${String(each.position)}`, each);
    const placed = [...all.values()].toSorted(byPosition);
    const { rooms, joined, moves } = planned;
    // Each source was asked for as many as are looked at, so what is left out here is all later.
    const isCut = placed.length > limit || inRooms.length >= limit;
    const taken = placed.slice(0, limit);
    const upTo = isCut ? (taken.at(-1) as Placed).position : planned.upTo;
    return { shown: await visibleOf(reader, taken), upTo, isCut, rooms, joined, moves };
  };
};
