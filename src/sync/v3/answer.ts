import { roomVersion } from '#src/protocol/room-versions.ts';
import { type StrippedEvent, strippedEvent } from '#src/protocol/stripped-state.ts';
import type { RoomEvent, RoomInfo } from '#src/rooms/graph/index.ts';
import { type Presenter, type Shown, shownPdu } from '#src/rooms/history/index.ts';
import type { Engine, EngineReading, NamedSummary, OutsidePlan, RoomView } from '#src/sync/engine/index.ts';
import type { RoomCounts, SmallEvent, SyncPorts } from '#src/sync/ports.ts';
import { formatToken, type SyncToken } from '#src/sync/token.ts';
import { pickFields } from '#src/sync/v3/event-fields.ts';
import { type Extras, haveMoved, judgeMemory, placesNow, readExtras, rememberedOf } from '#src/sync/extras.ts';
import type { SyncRequest } from '#src/sync/v3/request.ts';

/** An answer to `/sync`. */
export interface SyncAnswer {
  /** Writes it as JSON. */
  text(): string;
  /** Nothing happened since the client last asked. */
  readonly isEmpty: boolean;
}

export interface AnswerTools {
  readonly engine: Engine;
  readonly presenter: Presenter;
  readonly ports: SyncPorts;
}

const array = (texts: readonly string[]): string => `[${texts.join(',')}]`;
const eventsOf = (texts: readonly string[]): string => `{"events":${array(texts)}}`;
const smallEvents = (events: readonly SmallEvent[] | undefined): string => eventsOf((events ?? []).map((each) => JSON.stringify(each)));
/** An object of members that are texts already. */
const objectOf = (members: readonly (readonly [string, string])[]): string =>
  `{${members.map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(',')}}`;

/** The texts of all events of an answer, presented together and given out by room. */
interface Texts {
  readonly timeline: ReadonlyMap<number, readonly string[]>;
  readonly state: ReadonlyMap<number, readonly string[]>;
}

const presentAll = async (presenter: Presenter, views: readonly RoomView[], request: SyncRequest): Promise<Texts> => {
  const { filter, reader } = request;
  const present = async (
    of: readonly RoomView[],
    shownOf: (view: RoomView) => readonly Shown[],
    withRelations: boolean,
  ): Promise<Map<number, string[]>> => {
    const lists = of.map(shownOf);
    const texts = await presenter.present(lists.flat(), reader, { withRoomId: false, format: filter.eventFormat, withRelations });
    const { eventFields } = filter;
    const pruned = eventFields === undefined ? texts : texts.map((text) => pickFields(text, eventFields));
    let from = 0;
    return new Map(lists.map((list, index) => [(of[index] as RoomView).plan.room.num, pruned.slice(from, (from += list.length))]));
  };
  // Where nothing is left out the client sees for itself what relates to what.
  const [gapped, gapless] = [views.filter((view) => view.timeline.limited), views.filter((view) => !view.timeline.limited)];
  const timelineOf = (view: RoomView): readonly Shown[] => view.timeline.shown;
  return {
    timeline: new Map([...(await present(gapped, timelineOf, true)), ...(await present(gapless, timelineOf, false))]),
    state: await present(views, ({ plan, state }) => state.map((event) => ({ room: plan.room, event, membership: undefined })), false),
  };
};

const summaryText = (summary: NamedSummary): string =>
  JSON.stringify({
    ...(summary.heroes !== undefined && { 'm.heroes': summary.heroes }),
    'm.joined_member_count': summary.joined,
    'm.invited_member_count': summary.invited,
  });

const countsMembers = (counts: RoomCounts | undefined, byThread: boolean): [string, string][] => {
  const text = (each: { notifications: number; highlights: number } | undefined): string =>
    `{"notification_count":${String(each?.notifications ?? 0)},"highlight_count":${String(each?.highlights ?? 0)}}`;
  const members: [string, string][] = [['unread_notifications', text(counts)]];
  const threads = byThread ? [...(counts?.threads ?? [])] : [];
  if (threads.length > 0)
    members.push(['unread_thread_notifications', objectOf(threads.map(([threadId, each]) => [threadId, text(each)]))]);
  return members;
};

const NO_TIMELINE = (prevBatch: string): string => `{"events":[],"prev_batch":${prevBatch},"limited":false}`;

const isWorthShowing = ({ plan, timeline, state, summary }: RoomView): boolean =>
  plan.isFull || plan.kind === 'leave' || timeline.limited || timeline.shown.length > 0 || state.length > 0 || summary !== undefined;

export const createAnswers = ({ engine, presenter, ports }: AnswerTools): ((request: SyncRequest) => Promise<SyncAnswer>) => {
  const strippedState = async (room: RoomInfo, event: RoomEvent): Promise<readonly StrippedEvent[]> => {
    if (event.stateRoot === undefined) return (await ports.outsideState?.(event)) ?? [];
    const version = roomVersion(room.version);
    return (await engine.stripped(room, event)).map((each) => strippedEvent(shownPdu(each, version)));
  };

  const outside = async (plans: readonly OutsidePlan[], section: string, { reader }: SyncRequest): Promise<[string, string][]> => {
    const rooms: [string, string][] = [];
    for (const { room, event } of plans) {
      const state = (await strippedState(room, event)).map((each) => JSON.stringify(each));
      const own = await presenter.present([{ room, event, membership: undefined }], reader, { withRoomId: false });
      rooms.push([room.roomId, `{"${section}":${eventsOf([...state, ...own])}}`]);
    }
    return rooms;
  };

  /** The rooms that the reader is in and those that the reader has left. */
  const insideRooms = async (
    request: SyncRequest,
    reading: EngineReading,
    extras: Extras,
    tokenAt: (events: number) => string,
  ): Promise<{ join: [string, string][]; leave: [string, string][] }> => {
    const views = reading.rooms.filter(isWorthShowing);
    const viewOf = new Map(views.map((view) => [view.plan.room.num, view]));
    const moved = [...extras.ephemeral.keys(), ...extras.roomAccountData.keys()].filter((num) => reading.joined.has(num));
    const shown = new Set([...viewOf.keys(), ...moved]);
    if (shown.size === 0) return { join: [], leave: [] };
    const texts = await presentAll(presenter, views, request);
    const byThread = request.filter.timeline.unreadThreadNotifications;
    const counts = await ports.unreadCounts?.of(request.reader, [...shown], byThread);
    const join: [string, string][] = [];
    const leave: [string, string][] = [];
    for (const num of shown) {
      const view = viewOf.get(num);
      const room = view?.plan.room ?? reading.joined.get(num);
      if (room === undefined) continue;
      const timeline =
        view === undefined
          ? NO_TIMELINE(tokenAt(reading.upTo))
          : `{"events":${array(texts.timeline.get(num) ?? [])},"prev_batch":${tokenAt(view.timeline.before)},"limited":${String(view.timeline.limited)}}`;
      const members: [string, string][] = [
        ['timeline', timeline],
        [request.stateAfter ?? 'state', eventsOf(texts.state.get(num) ?? [])],
        ['account_data', smallEvents(extras.roomAccountData.get(num))],
      ];
      if (view?.plan.kind === 'leave') {
        leave.push([room.roomId, objectOf(members)]);
        continue;
      }
      members.push(['ephemeral', smallEvents(extras.ephemeral.get(num))], ...countsMembers(counts?.get(num), byThread));
      if (view?.summary !== undefined) members.push(['summary', summaryText(view.summary)]);
      join.push([room.roomId, objectOf(members)]);
    }
    return { join, leave };
  };

  return async (given) => {
    const memory = judgeMemory(ports, given.since);
    if (memory === 'ahead') await ports.lostTime?.renewKeys(given.reader);
    const request = memory === 'sound' ? given : { ...given, fullState: true, since: rememberedOf(given.since, memory) };
    const { reader, since, filter, fullState } = request;
    const places = placesNow(ports, since);
    const isStill = since !== undefined && !fullState && !haveMoved(places, since);
    // Of rooms nothing is known that is sure when the token is from a time that is lost.
    const known = memory === 'sound' ? since?.events : undefined;
    const reading =
      (isStill ? engine.readQuiet(reader, since.events) : undefined) ??
      (await engine.read({ reader, since: known, fullState, filter, stateAfter: request.stateAfter !== undefined }));
    const extras = await readExtras(ports, request, reading, places);
    const next: SyncToken = { events: reading.upTo, places: extras.places };
    const tokenAt = (events: number): string => JSON.stringify(formatToken({ ...next, events }));
    const sections = {
      ...(await insideRooms(request, reading, extras, tokenAt)),
      invite: await outside(reading.invited, 'invite_state', request),
      knock: await outside(reading.knocked, 'knock_state', request),
    };
    const rooms = Object.entries(sections).flatMap(([name, list]): [string, string][] => (list.length > 0 ? [[name, objectOf(list)]] : []));
    const members: [string, string][] = [];
    if (rooms.length > 0) members.push(['rooms', objectOf(rooms)]);
    if (extras.accountData.length > 0) members.push(['account_data', smallEvents(extras.accountData)]);
    if (extras.presence.length > 0) members.push(['presence', smallEvents(extras.presence)]);
    if (extras.toDevice.length > 0) members.push(['to_device', eventsOf(extras.toDevice)]);
    const { changed, left } = extras.deviceLists;
    if (changed.length > 0 || left.length > 0) members.push(['device_lists', JSON.stringify({ changed, left })]);
    const text = (): string => {
      const fallbackTypes = JSON.stringify(extras.unusedFallbackTypes);
      return objectOf([
        ['next_batch', tokenAt(next.events)],
        ...members,
        ['device_one_time_keys_count', JSON.stringify(extras.oneTimeKeys)],
        ['device_unused_fallback_key_types', fallbackTypes],
        ['org.matrix.msc2732.device_unused_fallback_key_types', fallbackTypes],
      ]);
    };
    return { text, isEmpty: members.length === 0 };
  };
};
