import { setImmediate } from 'node:timers/promises';
import type { Clock } from '#src/platform/clock.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Notifier } from '#src/platform/streams/wait.ts';
import { EVENTS_STREAM, type MembershipRow, type RoomEvent, type RoomGraph, type SilentChange } from '#src/rooms/graph/index.ts';
import { createFlips, type Flip, isInLine, ownFlip, type RoomEnd } from '#src/sync/engine/flips.ts';
import type { Wake } from '#src/sync/ports.ts';

/** What happened in a room since the process started, as far as sync needs it. */
export interface RoomActivity {
  /** The position of the room's last event. */
  readonly last: number;
  /** The position of the last event that may have changed the room's current state. */
  readonly lastStateChange: number;
  /** The position of the last event that changed a membership; 0 when there was none. */
  readonly lastMemberEvent: number;
}

/**
 * Follows the events for those who sync: knows which rooms moved and since when, whose memberships changed, and wakes whom an event concerns.
 * An event costs those of the room's members who are syncing, and not at once: the wakes go in slices.
 */
export interface Audience extends Wake {
  /** Resolves when all that is published has been taken in. */
  caughtUp(): Promise<void>;
  /** Whether something is published that has not been taken in yet. */
  isBehind(): boolean;
  /** The position up to which events have been taken in. */
  upTo(): number;
  /** A room's activity after the position `since()`; undefined when there was none. */
  activity(roomNum: number): RoomActivity | undefined;
  /** The position from which on every room's activity is known. */
  since(): number;
  /** Counts a user among those who sync, in these rooms. Call with the memberships as they are at `upTo()`. */
  enter(userNum: number, rows: Iterable<MembershipRow>): void;
  /** The position of the last change of the user's memberships, or of when the user was last counted in; undefined for who is not. */
  lastMembershipChange(userNum: number): number | undefined;
  /**
   * Whether all that is published is taken in and nothing of it after this position concerns the user: no event in the user's rooms, no change of
   * memberships. False also for who is not counted in. Costs the same however many rooms the user has.
   */
  isQuiet(userNum: number, since: number): boolean;
  /** Stops following. */
  stop(): void;
}

/** Users who have not synced for so long are no longer kept; who waits looks again more often than that. */
const IDLE_MS = 10 * 60_000;
export const MAX_WAIT_MS = IDLE_MS / 2;
const SWEEP_MS = 60_000;
/** So many events are taken in at once, and so many users woken. */
const SLICE = 500;
const WAKE_SLICE = 25;

const HEARS = new Set(['join', 'invite', 'knock']);

interface Listener {
  readonly rooms: Set<number>;
  lastSeen: number;
  lastChange: number;
  /** The position of the last of what concerned the user. */
  lastHeard: number;
}

interface Room extends RoomActivity, RoomEnd {
  readonly last: number;
  readonly root: string | undefined;
}

export interface AudienceTools {
  readonly database: Pick<Database, 'positions'>;
  readonly graph: Pick<RoomGraph, 'timeline' | 'states' | 'events' | 'rooms' | 'head'>;
  readonly clock: Clock;
  readonly notifier: Pick<Notifier, 'wake'>;
}

/** The key under which those wait who look into a room from outside. */
export const peekingKey = (roomNum: number): string => `room ${String(roomNum)}`;

/** The key under which a user's requests wait. */
export const waitingKey = (userNum: number): string => String(userNum);

/** Wakes users some at a time, letting other work pass before and in between: first of all the answer to who sent the event. */
const createWaker = (notifier: Pick<Notifier, 'wake'>): ((userNums: Iterable<number>) => void) => {
  const pending = new Set<number>();
  let running = false;
  const run = async (): Promise<void> => {
    running = true;
    while (pending.size > 0) {
      await setImmediate();
      const slice = [...pending.values().take(WAKE_SLICE)];
      for (const userNum of slice) pending.delete(userNum);
      notifier.wake(slice.map(waitingKey));
    }
    running = false;
  };
  return (userNums) => {
    for (const userNum of userNums) pending.add(userNum);
    if (!running && pending.size > 0) void run();
  };
};

export const createAudience = ({ database, graph, clock, notifier }: AudienceTools): Audience => {
  const { positions } = database;
  const flipsFrom = createFlips(graph);
  const listeners = new Map<number, Listener>();
  const hearers = new Map<number, Set<number>>();
  const rooms = new Map<number, Room>();
  const wakeUsers = createWaker(notifier);
  const since = positions.current(EVENTS_STREAM).min;
  let upTo = since;
  let lastSweep = clock.monotonic();
  let draining: Promise<void> | undefined;

  const addTo = (userNum: number, listener: Listener, roomNum: number): void => {
    listener.rooms.add(roomNum);
    const inRoom = hearers.get(roomNum) ?? new Set();
    inRoom.add(userNum);
    hearers.set(roomNum, inRoom);
  };

  const removeFrom = (userNum: number, listener: Listener, roomNum: number): void => {
    listener.rooms.delete(roomNum);
    const inRoom = hearers.get(roomNum);
    inRoom?.delete(userNum);
    if (inRoom?.size === 0) hearers.delete(roomNum);
  };

  const sweep = (): void => {
    const now = clock.monotonic();
    if (now - lastSweep < SWEEP_MS) return;
    lastSweep = now;
    for (const [userNum, listener] of listeners) {
      if (now - listener.lastSeen < IDLE_MS) continue;
      for (const roomNum of listener.rooms) removeFrom(userNum, listener, roomNum);
      listeners.delete(userNum);
    }
  };

  /** Wakes a room's hearers, with those who have come in; those who are out now hear of it, and no more. */
  const tell = (roomNum: number, position: number, flips: readonly Flip[], woken: Set<number>): void => {
    for (const { userNum, membership } of flips) {
      const listener = listeners.get(userNum);
      if (listener === undefined) continue;
      listener.lastChange = position;
      listener.lastHeard = position;
      if (HEARS.has(membership)) addTo(userNum, listener, roomNum);
    }
    for (const userNum of hearers.get(roomNum) ?? []) {
      (listeners.get(userNum) as Listener).lastHeard = position;
      woken.add(userNum);
    }
    for (const { userNum, membership } of flips) {
      const listener = listeners.get(userNum);
      if (listener !== undefined && !HEARS.has(membership)) removeFrom(userNum, listener, roomNum);
    }
  };

  const take = async (event: RoomEvent, woken: Set<number>): Promise<void> => {
    const position = event.position as number;
    // What became of one user in a room that nobody here is in.
    if (event.stateRoot === undefined) return tell(event.roomNum, position, ownFlip(event), woken);
    const known = rooms.get(event.roomNum);
    const follows = isInLine(event, known);
    const { flips, isAlone } = follows ? { flips: ownFlip(event), isAlone: true } : await flipsFrom.byEvent(event, known);
    const keepsState = follows && event.stateKeyNum === undefined && event.stateRoot === known?.root;
    tell(event.roomNum, position, flips, woken);
    rooms.set(event.roomNum, {
      last: position,
      lastStateChange: keepsState ? (known?.lastStateChange ?? position) : position,
      lastMemberEvent: flips.length > 0 ? position : (known?.lastMemberEvent ?? 0),
      eventId: event.eventId,
      root: event.stateRoot,
      isAlone,
    });
  };

  /** Takes in that a room's state has changed without an event. */
  const takeSilent = async ({ roomNum, position }: SilentChange, woken: Set<number>): Promise<void> => {
    const known = rooms.get(roomNum);
    const flips = await flipsFrom.between(roomNum, known?.last ?? position - 1, position);
    tell(roomNum, position, flips, woken);
    rooms.set(roomNum, {
      last: position,
      lastStateChange: position,
      lastMemberEvent: flips.length > 0 ? position : (known?.lastMemberEvent ?? 0),
      eventId: known?.eventId ?? '',
      root: undefined,
      isAlone: false,
    });
  };

  const isBehind = (): boolean => upTo < positions.current(EVENTS_STREAM).min;

  const drain = async (): Promise<void> => {
    for (;;) {
      const target = positions.current(EVENTS_STREAM).min;
      if (upTo >= target) return;
      const events = await graph.timeline.between(upTo, target, SLICE);
      const end = events.length < SLICE ? target : (events.at(-1)?.position ?? target);
      // Each position is an event's, unless a write failed or state changed by itself.
      const silent = end - upTo > events.length ? await graph.timeline.silentChanges(upTo, end) : [];
      const woken = new Set<number>();
      for (const each of [...events, ...silent].sort((a, b) => (a.position as number) - (b.position as number)))
        await ('pdu' in each ? take(each, woken) : takeSilent(each, woken));
      upTo = end;
      wakeUsers(woken);
      notifier.wake(new Set(events.map(({ roomNum }) => peekingKey(roomNum))));
    }
  };

  const startDraining = async (): Promise<void> => {
    draining ??= drain().finally(() => {
      draining = undefined;
    });
    return draining;
  };

  const unsubscribe = positions.subscribe((streams) => {
    // A failure shows where somebody asks for `caughtUp`; the next publication tries again.
    if (streams.has(EVENTS_STREAM)) startDraining().catch(() => undefined);
  });

  return {
    caughtUp: async () => {
      while (isBehind()) await startDraining();
    },
    isBehind,
    upTo: () => upTo,
    since: () => since,
    activity: (roomNum) => rooms.get(roomNum),
    enter: (userNum, rows) => {
      sweep();
      let listener = listeners.get(userNum);
      if (listener === undefined) {
        listener = { rooms: new Set(), lastSeen: 0, lastChange: upTo, lastHeard: upTo };
        listeners.set(userNum, listener);
        for (const row of rows) if (HEARS.has(row.membership)) addTo(userNum, listener, row.roomNum);
      }
      listener.lastSeen = clock.monotonic();
    },
    lastMembershipChange: (userNum) => listeners.get(userNum)?.lastChange,
    isQuiet: (userNum, position) => {
      const listener = listeners.get(userNum);
      if (listener === undefined || isBehind()) return false;
      listener.lastSeen = clock.monotonic();
      return listener.lastHeard <= position;
    },
    users: wakeUsers,
    room: (roomNum) => {
      wakeUsers(hearers.get(roomNum) ?? []);
      notifier.wake([peekingKey(roomNum)]);
    },
    stop: unsubscribe,
  };
};
