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
}

/** What of a room's state is to be told, before it is known what of that the client wants. */
export interface StateChanges {
  readonly lines: ReadonlyMap<string, Line>;
  /** Whether who is in the room, or how it is called, is not what the client has been told. */
  readonly changesSummary: boolean;
}

export interface RoomStates {
  /** What has changed, or all of it where the client knows nothing, by room number. */
  changes(wishes: readonly StateWish[], request: EngineRequest): Promise<ReadonlyMap<number, StateChanges>>;
  /** The state events to send with the timelines, by room number. `heroesOf` names those whom a room is called after. */
  load(
    wishes: readonly StateWish[],
    changes: ReadonlyMap<number, StateChanges>,
    heroesOf: (roomNum: number) => readonly string[],
    request: EngineRequest,
    upTo: Plan['upTo'],
  ): Promise<ReadonlyMap<number, readonly RoomEvent[]>>;
}

/** A state event that may have to be sent. */
interface Line {
  readonly typeNum: number;
  readonly stateKeyNum: number;
  readonly eventNum: number;
}

type Lines = Map<string, Line>;
type Change = Omit<Line, 'eventNum'> & { readonly eventNum: number | undefined };

/** By name; what holds nothing any more cannot be told. */
const linesOf = (changes: readonly Change[]): Lines =>
  new Map(
    changes.flatMap(({ typeNum, stateKeyNum, eventNum }) =>
      eventNum === undefined ? [] : [[nameOf(typeNum, stateKeyNum), { typeNum, stateKeyNum, eventNum }] as const],
    ),
  );

const nameOf = (typeNum: number, stateKeyNum: number): string => `${String(typeNum)}.${String(stateKeyNum)}`;

export interface StateTools {
  readonly graph: Pick<RoomGraph, 'events' | 'states'>;
  readonly audience: Audience;
  readonly readRoots: ReadRoots;
  readonly replacedState: ReplacedState;
  readonly knownMembers: KnownMembers;
  /** The number of `m.room.member` among the strings. */
  readonly memberTypeNum: number;
  /** The numbers of the types that a room's summary depends on. */
  readonly summaryTypeNums: ReadonlySet<number>;
}

export const createRoomStates = (tools: StateTools): RoomStates => {
  const { graph, audience, readRoots, replacedState, knownMembers, memberTypeNum, summaryTypeNums } = tools;
  const { states, events } = graph;

  const everything = async (roomNum: number, root: NodeId): Promise<Line[]> => states.entries(roomNum, root);

  /** The keys that hold something else after than before; those that hold nothing any more have no event. */
  const changed = async (roomNum: number, before: NodeId, after: NodeId): Promise<Change[]> => {
    if (before === after) return [];
    const differences = await states.diff(roomNum, before, after);
    return differences.map(({ key, after: eventNum }) => ({ typeNum: key.type, stateKeyNum: key.stateKey, eventNum }));
  };

  const touchesSummary = (changes: readonly Change[]): boolean => changes.some(({ typeNum }) => summaryTypeNums.has(typeNum));

  const isUnchanged = (plan: RoomPlan): boolean =>
    !plan.isFull &&
    plan.after !== undefined &&
    plan.after >= audience.since() &&
    (audience.activity(plan.room.num)?.lastStateChange ?? 0) <= plan.after;

  /**
   * The state to know before reading the timeline: what it was at the timeline's first event (or what of that changed since the reader last
   * asked), and what the end has that the timeline does not tell.
   */
  const changesBefore = async ({ plan, timeline, root }: StateWish, rootSince: NodeId): Promise<StateChanges> => {
    const { num } = plan.room;
    const first = timeline.shown[0]?.event;
    const atFirst = first?.stateRoot ?? root;
    const upToFirst = await (plan.isFull ? everything(num, atFirst) : changed(num, rootSince, atFirst));
    const fromFirst = await changed(num, atFirst, root);
    const lines = linesOf(upToFirst);
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
    for (const [name, line] of linesOf(fromFirst)) if (!told.has(line.eventNum)) lines.set(name, line);
    return { lines, changesSummary: plan.isFull || touchesSummary(upToFirst) || touchesSummary(fromFirst) };
  };

  const changesAfter = async ({ plan, root }: StateWish, rootSince: NodeId): Promise<StateChanges> => {
    const changes = await (plan.isFull ? everything(plan.room.num, root) : changed(plan.room.num, rootSince, root));
    return { lines: linesOf(changes), changesSummary: plan.isFull || touchesSummary(changes) };
  };

  /** Leaves of the members only the reader and those who speak, and adds those of them, and of the heroes, who are not known yet. */
  const loadLazily = async (lines: Lines, wish: StateWish, heroes: readonly string[], request: EngineRequest): Promise<void> => {
    const { plan, timeline, root } = wish;
    const { reader, filter, since, stateAfter } = request;
    const speakers = new Map<number, string>();
    for (const { event } of timeline.shown) {
      speakers.set(event.senderNum, event.pdu.sender);
      // Who is told the state after the timeline takes none from the timeline (MSC4222): so of whom it tells is told there too.
      if (stateAfter && event.typeNum === memberTypeNum && event.stateKeyNum !== undefined)
        speakers.set(event.stateKeyNum, event.pdu.state_key as string);
    }
    const heroNums = new Set<number>();
    for (const hero of heroes) heroNums.add((await states.keyOf(MEMBER, hero))?.stateKey ?? 0);
    const isWanted = (userNum: number): boolean => userNum === reader.userNum || speakers.has(userNum) || heroNums.has(userNum);
    for (const [name, line] of lines) if (line.typeNum === memberTypeNum && !isWanted(line.stateKeyNum)) lines.delete(name);
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

  const changesOf = async (wish: StateWish, stateAfter: boolean, rootSince: NodeId): Promise<StateChanges> => {
    const { plan } = wish;
    if (plan.onlyLeaving || isUnchanged(plan)) return { lines: new Map(), changesSummary: false };
    return stateAfter ? changesAfter(wish, rootSince) : changesBefore(wish, rootSince);
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
    changes: async (wishes, { stateAfter }) => {
      const since = await rootsSince(wishes);
      const changes = new Map<number, StateChanges>();
      for (const wish of wishes) {
        const { num } = wish.plan.room;
        changes.set(num, await changesOf(wish, stateAfter, since.get(num) ?? ''));
      }
      return changes;
    },
    load: async (wishes, changes, heroesOf, request, upTo) => {
      const lines = new Map<number, Lines>();
      for (const wish of wishes) {
        const { onlyLeaving, room } = wish.plan;
        const wanted: Lines = new Map(changes.get(room.num)?.lines);
        if (request.filter.state.lazyLoadMembers && !onlyLeaving) await loadLazily(wanted, wish, heroesOf(room.num), request);
        lines.set(room.num, wanted);
      }
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
