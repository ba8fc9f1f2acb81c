import type { RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { ReplacedState, RoomReader } from '#src/rooms/history/index.ts';
import { withoutConflicts } from '#src/sync/engine/conflicts.ts';
import { createForwards, type ForwardReading, type ForwardRequest } from '#src/sync/engine/forwards.ts';
import { createKnownMembers } from '#src/sync/engine/known-members.ts';
import { createPlanner, type EngineRequest, type OutsidePlan, type Plan, type PlanTools, type RoomPlan } from '#src/sync/engine/plan.ts';
import { createRoots } from '#src/sync/engine/roots.ts';
import { createStripped, type StateSelector } from '#src/sync/engine/stripped.ts';
import { createRoomStates, type StateWish } from '#src/sync/engine/states.ts';
import { createSummaries, type RoomSummary, type SummaryTools } from '#src/sync/engine/summaries.ts';
import { createTimelines, type RoomTimeline, type TimelineTools } from '#src/sync/engine/timelines.ts';

export type { ForwardReading, ForwardRequest } from '#src/sync/engine/forwards.ts';
export type { EngineRequest, OutsidePlan, RoomPlan } from '#src/sync/engine/plan.ts';
export type { RoomTimeline } from '#src/sync/engine/timelines.ts';

/** A room's summary with the heroes' ids. */
export interface NamedSummary {
  readonly joined: number;
  readonly invited: number;
  readonly heroes: readonly string[] | undefined;
}

/** A room as it is shown to one who is, or was, in it. */
export interface RoomView {
  readonly plan: RoomPlan;
  readonly timeline: RoomTimeline;
  readonly state: readonly RoomEvent[];
  /** Present when it has changed. */
  readonly summary: NamedSummary | undefined;
}

/** What the streams of events say to one reader between two positions. */
export interface EngineReading extends Pick<Plan, 'upTo' | 'joined' | 'moves'> {
  readonly rooms: readonly RoomView[];
  readonly invited: readonly OutsidePlan[];
  readonly knocked: readonly OutsidePlan[];
}

export interface Engine {
  read(request: EngineRequest): Promise<EngineReading>;
  /** What `read` would answer without looking, if nothing has happened since that concerns the reader; `joined` is left empty. */
  readQuiet(reader: RoomReader, since: number): EngineReading | undefined;
  /** The next events from a position on, oldest first and none left out. */
  forwards(request: ForwardRequest): Promise<ForwardReading>;
  /** The state by which one who is not in the room may tell what it is, as it was at `event`, its sender's member event last. */
  stripped(room: RoomInfo, event: RoomEvent): Promise<readonly RoomEvent[]>;
}

export interface EngineTools extends Omit<PlanTools, 'readRoots'>, SummaryTools, TimelineTools {
  readonly graph: RoomGraph;
  readonly replacedState: ReplacedState;
  /** What one is shown of a room before being in it. */
  readonly preJoinState: readonly StateSelector[];
}

const MEMBER = 'm.room.member';
const NO_SUMMARIES: ReadonlyMap<number, NamedSummary> = new Map();
/** A room without these is called after its members. */
const NAMING = ['m.room.name', 'm.room.canonical_alias'];

/** One reading of the streams, under every presentation. */
export const createEngine = async (tools: EngineTools): Promise<Engine> => {
  const { strings, graph, audience, replacedState } = tools;
  const readRoots = createRoots(graph, audience);
  const plan = createPlanner({ ...tools, readRoots });
  const timelines = createTimelines(tools);
  const summaries = createSummaries(tools);
  const typeNums = await strings.intern([MEMBER, ...NAMING]);
  const states = createRoomStates({
    graph,
    audience,
    readRoots,
    replacedState,
    knownMembers: createKnownMembers(),
    memberTypeNum: typeNums.get(MEMBER) as number,
    summaryTypeNums: new Set(typeNums.values()),
  });

  const rootsOf = async (plans: readonly RoomPlan[], upTo: number): Promise<Map<number, string>> => {
    const present = plans.filter((each) => each.left === undefined).map((each) => each.room);
    const roots = new Map(await readRoots(present, upTo));
    for (const { room, left, byResolution, upTo: leftAt } of plans) {
      if (byResolution) for (const [num, root] of await readRoots([room], leftAt)) roots.set(num, root);
      else if (left?.stateRoot !== undefined) roots.set(room.num, left.stateRoot);
    }
    return roots;
  };

  const named = async (found: ReadonlyMap<number, RoomSummary>): Promise<ReadonlyMap<number, NamedSummary>> => {
    const heroes = [...found.values()].flatMap((summary) => summary.heroes ?? []);
    const ids = heroes.length === 0 ? new Map<number, string>() : await summaries.userIds([...new Set(heroes)]);
    return new Map([...found].map(([num, each]) => [num, { ...each, heroes: each.heroes?.flatMap((hero) => ids.get(hero) ?? []) }]));
  };

  return {
    read: async (request) => {
      const { reader, filter } = request;
      const planned = await plan(request);
      const roots = await rootsOf(planned.rooms, planned.upTo);
      const read = await timelines.read(planned.rooms, reader, filter.timeline, roots);
      const timelineOf = async (each: RoomPlan): Promise<RoomTimeline> => {
        const timeline = read.get(each.room.num) as RoomTimeline;
        const mayCut = each.isFull && !request.stateAfter && !each.onlyLeaving;
        return mayCut ? withoutConflicts(graph.states, each, timeline, roots.get(each.room.num) ?? '') : timeline;
      };
      const wishes: StateWish[] = [];
      for (const each of planned.rooms) wishes.push({ plan: each, timeline: await timelineOf(each), root: roots.get(each.room.num) ?? '' });
      const changes = await states.changes(wishes, request);
      const summarised = planned.rooms.filter(({ kind, room }) => kind === 'join' && changes.get(room.num)?.changesSummary === true);
      const summarisedRooms = summarised.map(({ room }) => room);
      const summaryOf = summarised.length === 0 ? NO_SUMMARIES : await named(await summaries.of(summarisedRooms, roots, reader.userNum));
      const heroesOf = (roomNum: number): readonly string[] => summaryOf.get(roomNum)?.heroes ?? [];
      const state = await states.load(wishes, changes, heroesOf, request, planned.upTo);
      const rooms = wishes.map(({ plan: each, timeline }): RoomView => {
        const { num } = each.room;
        return { plan: each, timeline, state: state.get(num) ?? [], summary: summaryOf.get(num) };
      });
      const { upTo, joined, moves, invited, knocked } = planned;
      return { upTo, joined, moves, invited, knocked, rooms };
    },
    readQuiet: ({ userNum }, since) => {
      if (!audience.isQuiet(userNum, since)) return undefined;
      const upTo = audience.upTo();
      const moves = { newlyJoined: [], newlyLeft: [], stayedIn: { roomNums: [], after: since, upTo } };
      return { upTo, joined: new Map(), moves, invited: [], knocked: [], rooms: [] };
    },
    forwards: createForwards({ ...tools, plan }),
    stripped: createStripped(graph, tools.preJoinState),
  };
};
