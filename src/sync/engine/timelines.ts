import { allows, relatedByOf, type RoomEventFilter } from '#src/filters/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import { isAfterGap, type NodeId, type RoomEvent, type RoomGraph, type RoomInfo } from '#src/rooms/graph/index.ts';
import type { RoomReader, Shown, SiftRelated, Visibility } from '#src/rooms/history/index.ts';
import type { RoomPlan } from '#src/sync/engine/plan.ts';
import { newestOfRooms } from '#src/sync/engine/views.ts';

/** A room's timeline as one reader sees it. */
export interface RoomTimeline {
  readonly shown: readonly Shown[];
  /** Whether there is more between this and what the reader knows. */
  readonly limited: boolean;
  /** The position before which history goes on. */
  readonly before: number;
  /** Nothing that lies between the events is left out. */
  readonly isWhole: boolean;
}

export interface Timelines {
  /** The timelines of all plans, by room number. `roots` are the states at the plans' ends. */
  read(
    plans: readonly RoomPlan[],
    reader: RoomReader,
    filter: RoomEventFilter,
    roots: ReadonlyMap<number, NodeId>,
  ): Promise<ReadonlyMap<number, RoomTimeline>>;
}

export interface TimelineTools {
  readonly database: Database;
  readonly graph: Pick<RoomGraph, 'events' | 'states' | 'timeline'>;
  readonly visibility: Visibility;
  readonly siftRelated: SiftRelated;
}

const DEFAULT_LIMIT = 10;
/** Up to so many rooms are read one by one, which memory mostly answers; more of them in one query. */
const FEW_ROOMS = 8;
/** Where filters and visibility take away most of what was read, reading on stops after so many rounds. */
const MAX_ROUNDS = 5;

interface Batch {
  readonly events: readonly RoomEvent[];
  readonly limited: boolean;
  /** Whether the first event comes after a gap: nothing before it is read. */
  readonly isCut?: boolean;
}

/** What lies before a gap does not go on in what comes after it: clients ask for both, and for what is between them, by `/messages`. */
const afterLastGap = (batch: Batch): Batch => {
  const first = batch.events.findLastIndex(isAfterGap);
  return first === -1 ? batch : { events: batch.events.slice(first), limited: true, isCut: true };
};

const NOTHING: Batch = { events: [], limited: false };

export const createTimelines = ({ database, graph, visibility, siftRelated }: TimelineTools): Timelines => {
  const { timeline } = graph;

  const readMany = async (plans: readonly RoomPlan[], limit: number): Promise<Map<number, Batch>> => {
    const batches = new Map<number, Batch>();
    const groups = Map.groupBy(plans, (plan) => `${String(plan.after ?? 0)}/${String(plan.upTo)}`);
    for (const group of groups.values()) {
      const { after = 0, upTo } = group[0] as RoomPlan;
      const nums = await database.read('newest of rooms', async (reader) =>
        newestOfRooms(
          reader,
          group.map((plan) => plan.room.num),
          after,
          upTo,
          limit,
        ),
      );
      const events = await graph.events.byNums([...nums.values()].flat());
      await graph.states.preload([...events.values()]); // visibility and state ask for nearly all of them, room by room
      for (const [roomNum, inRoom] of nums) {
        const found = inRoom.flatMap((num) => events.get(num) ?? []);
        batches.set(roomNum, { events: found.slice(Math.max(0, found.length - limit)), limited: inRoom.length > limit });
      }
    }
    return batches;
  };

  const readFew = async (plans: readonly RoomPlan[], limit: number): Promise<Map<number, Batch>> => {
    const batches = new Map<number, Batch>();
    for (const { room, after = 0, upTo } of plans) batches.set(room.num, await timeline.newest(room.num, after, upTo, limit));
    return batches;
  };

  const fill = async (
    plan: RoomPlan,
    first: Batch,
    limit: number,
    sift: (room: RoomInfo, events: readonly RoomEvent[]) => Promise<Shown[]>,
  ): Promise<RoomTimeline> => {
    const { room, after = 0, upTo } = plan;
    let batch = afterLastGap(first);
    let read = batch.events.length;
    const rounds = [await sift(room, batch.events)];
    const count = (): number => rounds.reduce((sum, each) => sum + each.length, 0);
    while (batch.limited && batch.isCut !== true && count() < limit && rounds.length < MAX_ROUNDS) {
      const oldest = batch.events[0]?.position ?? 0;
      batch = afterLastGap(await timeline.newest(room.num, after, oldest - 1, limit * (rounds.length + 1)));
      rounds.unshift(await sift(room, batch.events));
      read += batch.events.length;
    }
    const shown = rounds.flat();
    const kept = shown.slice(Math.max(0, shown.length - limit));
    const position = kept[0]?.event.position;
    return {
      shown: kept,
      limited: batch.limited || shown.length > limit || (plan.after === undefined && plan.isNew),
      before: position === undefined ? upTo : position - 1,
      isWhole: shown.length === read,
    };
  };

  return {
    read: async (plans, reader, filter, roots) => {
      const limit = filter.limit ?? DEFAULT_LIMIT;
      const relatedBy = relatedByOf(filter);
      const inside = plans.filter((plan) => !plan.onlyLeaving);
      const batches = await (inside.length > FEW_ROOMS ? readMany(inside, limit) : readFew(inside, limit));
      const timelines = new Map<number, RoomTimeline>();
      for (const plan of plans) {
        const { room, left, kind } = plan;
        const root = roots.get(room.num);
        const standing = root === undefined || kind === 'leave' ? undefined : { root, membership: 'join' };
        /** What of a batch the reader may see and the filter lets through. */
        const sift = async (of: RoomInfo, events: readonly RoomEvent[]): Promise<Shown[]> => {
          const passed = events.filter(({ pdu: { type, sender, content } }) =>
            allows(filter, { type, sender, roomId: of.roomId, content }),
          );
          return visibility.visible(reader, of, await siftRelated(passed, relatedBy), standing);
        };
        if (plan.onlyLeaving) {
          const shown = left === undefined ? [] : [{ room, event: left, membership: undefined }];
          timelines.set(room.num, { shown, limited: false, before: Math.max(0, plan.upTo - 1), isWhole: true });
        } else {
          timelines.set(room.num, await fill(plan, batches.get(room.num) ?? NOTHING, limit, sift));
        }
      }
      return timelines;
    },
  };
};
