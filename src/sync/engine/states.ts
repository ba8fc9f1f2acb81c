import { allows, type RoomEventFilter } from '#src/filters/index.ts';
import type { NodeId, RoomEvent, RoomGraph } from '#src/rooms/graph/index.ts';
import type { ReplacedState } from '#src/rooms/history/index.ts';
import type { Audience } from '#src/sync/engine/audience.ts';
import type { KnownMembers } from '#src/sync/engine/known-members.ts';
import type { EngineRequest, Plan, RoomPlan } from '#src/sync/engine/plan.ts';
import type { ReadRoots } from '#src/sync/engine/roots.ts';
import type { RoomTimeline } from '#src/sync/engine/timelines.ts';

const MEMBER = 'm.room.member';

/** A room whose state is wanted, with all that decides which. */
export interface StateWish {
  readonly plan: RoomPlan;
  readonly timeline: RoomTimeline;
  /** The state after the timeline. */
  readonly root: NodeId;
  /** Users whose member events a client that loads members lazily wants beside those who speak. */
  readonly heroes: readonly string[];
}

export interface RoomStates {
  /** The state events to send with the timelines, by room number. */
  read(wishes: readonly StateWish[], request: EngineRequest, upTo: Plan['upTo']): Promise<ReadonlyMap<number, readonly RoomEvent[]>>;
}

/** A state event that may have to be sent. */
interface Line {
  readonly typeNum: number;
  readonly stateKeyNum: number;
  readonly eventNum: number;
}

type Lines = Map<string, Line>;

const nameOf = (typeNum: number, stateKeyNum: number): string => `${String(typeNum)}.${String(stateKeyNum)}`;

export interface StateTools {
  readonly graph: Pick<RoomGraph, 'events' | 'states'>;
  readonly audience: Audience;
  readonly readRoots: ReadRoots;
  readonly replacedState: ReplacedState;
  readonly knownMembers: KnownMembers;
  /** The number of `m.room.member` among the strings. */
  readonly memberTypeNum: number;
}

export const createRoomStates = (tools: StateTools): RoomStates => {
  const { graph, audience, readRoots, replacedState, knownMembers, memberTypeNum } = tools;
  const { states, events } = graph;

  const everything = async (roomNum: number, root: NodeId): Promise<Lines> => {
    const lines: Lines = new Map();
    for (const entry of await states.entries(roomNum, root)) lines.set(nameOf(entry.typeNum, entry.stateKeyNum), entry);
    return lines;
  };

  /** The keys that hold something else after than before. */
  const changed = async (roomNum: number, before: NodeId, after: NodeId): Promise<Line[]> => {
    if (before === after) return [];
    const differences = await states.diff(roomNum, before, after);
    return differences.flatMap(({ key, after: eventNum }) =>
      eventNum === undefined ? [] : [{ typeNum: key.type, stateKeyNum: key.stateKey, eventNum }],
    );
  };

  const isUnchanged = (plan: RoomPlan): boolean =>
    !plan.isFull &&
    plan.after !== undefined &&
    plan.after >= audience.since() &&
    (audience.activity(plan.room.num)?.lastStateChange ?? 0) <= plan.after;

  /**
   * The state to know before reading the timeline: what it was at the timeline's first event (or what of that changed since the reader last
   * asked), and what the end has that the timeline does not tell.
   */
  const linesBefore = async ({ plan, timeline, root }: StateWish, rootSince: NodeId): Promise<Lines> => {
    const { num } = plan.room;
    const first = timeline.shown[0]?.event;
    const atFirst = first?.stateRoot ?? root;
    const lines = plan.isFull
      ? await everything(num, atFirst)
      : new Map((await changed(num, rootSince, atFirst)).map((line) => [nameOf(line.typeNum, line.stateKeyNum), line]));
    if (first?.stateKeyNum !== undefined) {
      const name = nameOf(first.typeNum, first.stateKeyNum);
      const replaced = (await replacedState.of([first])).get(first.num);
      if (lines.get(name)?.eventNum === first.num) lines.delete(name);
      if (replaced !== undefined && plan.isFull) {
        lines.set(name, { typeNum: first.typeNum, stateKeyNum: first.stateKeyNum, eventNum: replaced });
      } else if (replaced !== undefined) {
        const known = await states.get(num, rootSince, first.pdu.type, first.pdu.state_key ?? '');
        if (known !== replaced) lines.set(name, { typeNum: first.typeNum, stateKeyNum: first.stateKeyNum, eventNum: replaced });
      }
    }
    const told = new Set(timeline.shown.map(({ event }) => event.num));
    for (const line of await changed(num, atFirst, root)) {
      if (!told.has(line.eventNum)) lines.set(nameOf(line.typeNum, line.stateKeyNum), line);
    }
    return lines;
  };

  const linesAfter = async ({ plan, root }: StateWish, rootSince: NodeId): Promise<Lines> => {
    if (plan.isFull) return everything(plan.room.num, root);
    const lines = await changed(plan.room.num, rootSince, root);
    return new Map(lines.map((line) => [nameOf(line.typeNum, line.stateKeyNum), line]));
  };

  /** Leaves of the members only the reader and those who speak, and adds those of them who are not known yet. */
  const loadLazily = async (lines: Lines, wish: StateWish, request: EngineRequest): Promise<void> => {
    const { plan, timeline, root, heroes } = wish;
    const { reader, filter, since, stateAfter } = request;
    const speakers = new Map<number, string>();
    for (const { event } of timeline.shown) speakers.set(event.senderNum, event.pdu.sender);
    for (const [name, line] of lines) {
      if (line.typeNum !== memberTypeNum || line.stateKeyNum === reader.userNum || speakers.has(line.stateKeyNum)) continue;
      lines.delete(name);
    }
    const at = stateAfter ? root : (timeline.shown[0]?.event.stateRoot ?? root);
    const told = new Set(stateAfter ? [] : timeline.shown.map(({ event }) => event.num));
    for (const userId of new Set([...speakers.values(), ...heroes])) {
      const key = await states.keyOf(MEMBER, userId);
      if (key === undefined || lines.has(nameOf(key.type, key.stateKey))) continue;
      const eventNum = await states.get(plan.room.num, at, MEMBER, userId);
      if (eventNum === undefined || told.has(eventNum)) continue;
      if (!filter.state.includeRedundantMembers && !plan.isFull && knownMembers.isKnown(reader, eventNum, since)) continue;
      lines.set(nameOf(key.type, key.stateKey), { typeNum: key.type, stateKeyNum: key.stateKey, eventNum });
    }
  };

  /** Where the reader left off, of those rooms whose changes are asked for. */
  const rootsSince = async (wishes: readonly StateWish[]): Promise<ReadonlyMap<number, NodeId>> => {
    const roots = new Map<number, NodeId>();
    const moved = wishes.filter(({ plan }) => !plan.isFull && plan.after !== undefined && !isUnchanged(plan));
    for (const [after, group] of Map.groupBy(moved, ({ plan }) => plan.after as number)) {
      const found = await readRoots(
        group.map(({ plan }) => plan.room),
        after,
      );
      for (const [roomNum, root] of found) roots.set(roomNum, root);
    }
    return roots;
  };

  const linesOf = async (wish: StateWish, request: EngineRequest, rootSince: NodeId): Promise<Lines> => {
    if (wish.plan.onlyLeaving) return new Map();
    const lines: Lines = isUnchanged(wish.plan)
      ? new Map()
      : await (request.stateAfter ? linesAfter(wish, rootSince) : linesBefore(wish, rootSince));
    if (request.filter.state.lazyLoadMembers) await loadLazily(lines, wish, request);
    return lines;
  };

  const remember = (
    { reader, since }: EngineRequest,
    byRoom: ReadonlyMap<number, readonly RoomEvent[]>,
    timelines: readonly RoomTimeline[],
    upTo: number,
  ): void => {
    const sent = [...[...byRoom.values()].flat(), ...timelines.flatMap(({ shown }) => shown.map(({ event }) => event))];
    const members = sent.filter((event) => event.typeNum === memberTypeNum && event.stateKeyNum !== undefined);
    knownMembers.sent(
      reader,
      members.map((event) => event.num),
      since,
      upTo,
    );
  };

  const passes = (filter: RoomEventFilter, roomId: string, { pdu: { type, sender, content } }: RoomEvent): boolean =>
    allows(filter, { type, sender, roomId, content });

  return {
    read: async (wishes, request, upTo) => {
      const since = await rootsSince(wishes);
      const lines = new Map<number, Lines>();
      for (const wish of wishes) lines.set(wish.plan.room.num, await linesOf(wish, request, since.get(wish.plan.room.num) ?? ''));
      const loaded = await events.byNums([...lines.values()].flatMap((each) => [...each.values()].map((line) => line.eventNum)));
      const byRoom = new Map<number, RoomEvent[]>();
      for (const { plan } of wishes) {
        const found = [...(lines.get(plan.room.num)?.values() ?? [])].flatMap((line) => loaded.get(line.eventNum) ?? []);
        byRoom.set(
          plan.room.num,
          found.filter((event) => passes(request.filter.state, plan.room.roomId, event)),
        );
      }
      if (request.filter.state.lazyLoadMembers)
        remember(
          request,
          byRoom,
          wishes.map((wish) => wish.timeline),
          upTo,
        );
      return byRoom;
    },
  };
};
