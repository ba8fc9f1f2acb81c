import { setTimeout as after } from 'node:timers/promises';
import type { Clock } from '#src/platform/clock.ts';
import type { Database } from '#src/platform/database/types.ts';
import { createTurns } from '#src/platform/jobs/turns.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { Random } from '#src/platform/random.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import type { PushRule } from '#src/protocol/push-rules.ts';
import type { RoomEvent, RoomGraph } from '#src/rooms/graph/index.ts';
import type { Badges } from '#src/push/pushers/badges.ts';
import type { Notify } from '#src/push/pushers/gateway.ts';
import type { Payloads } from '#src/push/pushers/payload.ts';
import {
  deletePending,
  deletePushers,
  type PendingRow,
  pusherByKey,
  type PusherKey,
  type PusherRow,
  putPending,
  setFailingSince,
  setTold,
} from '#src/push/pushers/store.ts';

/** A notification that waits for its pusher. */
export interface Waiting {
  readonly position: number;
  readonly eventNum: number;
  readonly roomNum: number;
  readonly actions: PushRule['actions'];
}

/** Sends notifications, to each pusher one after another. */
export interface Sending {
  add(key: PusherKey, waiting: Waiting): void;
  /** Goes on with what was written down before a restart. */
  restore(rows: readonly PendingRow[]): void;
  /** Tells a pusher's app how much is unread, if that is another number than it was told last. */
  updateBadge(pusher: PusherRow): Promise<void>;
  /** Writes down what pushers have not taken at the first try, and answers the first position of what is still on its first. */
  settle(): Promise<number | undefined>;
  stop(): Promise<void>;
}

/** What waits for one pusher. */
interface Line {
  readonly key: PusherKey;
  readonly waiting: Waiting[];
  /** The positions of those that are written down. */
  readonly stored: Set<number>;
  /** Whether its gateway did not take the last one. */
  isFailing: boolean;
  /** Before it is tried again, in milliseconds. */
  pauseMs: number;
}

const AT_A_TIME = 100;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60 * 60 * 1000;
/** What could not be told for so long is given up, so that nobody is flooded with old news when the gateway is there again. */
const GIVE_UP_AFTER_MS = 24 * 60 * 60 * 1000;
/** Of more the oldest are given up. */
const MAX_WAITING = 200;

export interface SendingTools {
  readonly database: Pick<Database, 'read' | 'write'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly random: Random;
  readonly graph: Pick<RoomGraph, 'events' | 'rooms'>;
  readonly badges: Badges;
  readonly payloads: Payloads;
  readonly notify: Notify;
  /** Notifications come so much later by chance, in milliseconds at most (`push.jitter_delay`). */
  readonly jitterMs: number;
  /** Whether pushers may want no badge (MSC4076). */
  readonly mayDisableBadge: boolean;
  readonly sent: (outcome: 'taken' | 'failed') => void;
  readonly log: Logger;
}

export const createSending = (tools: SendingTools): Sending => {
  const { database, clock, random, graph, badges, payloads, notify, log } = tools;
  const lines = new Map<string, Line>();
  const told = new Map<string, number>();
  const stopping = new AbortController();
  const nameOf = ({ user_num: userNum, app_id: appId, pushkey }: PusherKey): string => JSON.stringify([userNum, appId, pushkey]);

  const lineOf = (key: PusherKey): Line => {
    const name = nameOf(key);
    const known = lines.get(name);
    if (known !== undefined) return known;
    const { user_num, app_id, pushkey } = key;
    const made: Line = {
      key: { user_num, app_id, pushkey },
      waiting: [],
      stored: new Set(),
      isFailing: false,
      pauseMs: FIRST_PAUSE_MS,
    };
    lines.set(name, made);
    return made;
  };

  const badgeFor = async (pusher: PusherRow): Promise<number | undefined> => {
    const { 'org.matrix.msc4076.disable_badge_count': isDisabled } = JSON.parse(pusher.data) as JsonObject;
    return isDisabled === true && tools.mayDisableBadge ? undefined : badges.of(pusher.user_num);
  };

  const send = async (pusher: PusherRow, waiting: Waiting, event: RoomEvent): Promise<'taken' | 'rejected' | 'failed'> => {
    const room = (await graph.rooms([event.roomNum])).get(event.roomNum);
    if (room === undefined) return 'taken';
    if (tools.jitterMs > 0) {
      const leftMs = Number(event.pdu.origin_server_ts) + random.below(tools.jitterMs) - clock.now();
      if (leftMs > 0) await after(Math.min(leftMs, tools.jitterMs), undefined, { signal: stopping.signal, ref: false });
    }
    const badge = await badgeFor(pusher);
    const whom = { userNum: pusher.user_num, actions: waiting.actions, badge };
    const delivery = await notify(pusher, await payloads.ofEvent(pusher, room, event, whom));
    if (delivery === 'taken' && badge !== undefined) told.set(nameOf(pusher), badge);
    return delivery;
  };

  const drop = (line: Line): void => {
    lines.delete(nameOf(line.key));
    told.delete(nameOf(line.key));
    line.waiting.length = 0;
  };

  const done = async (line: Line, pusher: PusherRow, { position }: Waiting): Promise<void> => {
    line.waiting.shift();
    const isStored = line.stored.delete(position);
    const hasRecovered = pusher.failing_since_ts !== null;
    line.isFailing = false;
    line.pauseMs = FIRST_PAUSE_MS;
    if (!isStored && !hasRecovered) return;
    await database.write('push was taken', async (tx) => {
      if (isStored) await deletePending(tx, line.key, position);
      await setTold(tx, line.key, position);
    });
  };

  const storeAll = async (line: Line): Promise<void> => {
    const fresh = line.waiting.filter(({ position }) => !line.stored.has(position));
    if (fresh.length === 0) return;
    await database.write('pushes that wait', async (tx) => {
      // A pusher that is gone has nothing waiting.
      if ((await pusherByKey(tx, line.key)) === undefined) return;
      for (const { position, eventNum, roomNum, actions } of fresh)
        putPending(tx, { ...line.key, position, event_num: eventNum, room_num: roomNum, actions: JSON.stringify(actions) });
    });
    for (const { position } of fresh) line.stored.add(position);
  };

  const failed = async (line: Line, pusher: PusherRow): Promise<void> => {
    const now = clock.now();
    if (pusher.failing_since_ts !== null && pusher.failing_since_ts < now - GIVE_UP_AFTER_MS) {
      const [first] = line.waiting;
      if (first !== undefined) await done(line, pusher, first);
      return;
    }
    line.isFailing = true;
    if (pusher.failing_since_ts === null) await database.write('push gateway fails', (tx) => setFailingSince(tx, line.key, now));
    await storeAll(line);
    const pauseMs = line.pauseMs;
    line.pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
    void after(pauseMs, undefined, { signal: stopping.signal, ref: false }).then(
      () => void turns.take(line),
      () => undefined,
    );
  };

  /** Sends until nothing waits or the gateway does not take it. */
  const drain = async (line: Line): Promise<void> => {
    for (let first = line.waiting[0]; first !== undefined && !stopping.signal.aborted; first = line.waiting[0]) {
      const pusher = await database.read('pusher', (reader) => pusherByKey(reader, line.key));
      if (pusher === undefined) return drop(line);
      const event = await graph.events.byNum(first.eventNum);
      const isNews = event !== undefined && event.redactedBy === undefined && pusher.enabled === 1;
      if (!isNews || (await badges.hasRead(pusher.user_num, event))) {
        await done(line, pusher, first);
        continue;
      }
      const delivery = await send(pusher, first, event);
      if (delivery === 'rejected') {
        log.info(`A push gateway does not know a device of the app ${pusher.app_id} any more: its pusher is removed`);
        await database.write('rejected pusher', (tx) => deletePushers(tx, [line.key]));
        return drop(line);
      }
      tools.sent(delivery);
      if (delivery === 'failed') {
        await failed(line, pusher);
        if (line.isFailing) return;
      } else await done(line, pusher, first);
    }
    if (line.waiting.length === 0) lines.delete(nameOf(line.key));
  };

  const turns = createTurns<Line>(AT_A_TIME, async (line) => {
    try {
      await drain(line);
    } catch (error) {
      if (!stopping.signal.aborted) log.error({ err: error }, 'A notification could not be sent');
    }
    // What came while the last one was being written off.
    if (line.waiting.length > 0 && !line.isFailing) setImmediate(() => turns.take(lineOf(line.key)));
  });

  const add = (key: PusherKey, waiting: Waiting): Line => {
    const line = lineOf(key);
    line.waiting.push(waiting);
    if (line.waiting.length > MAX_WAITING) {
      const [dropped] = line.waiting.splice(1, 1);
      if (dropped !== undefined && line.stored.delete(dropped.position))
        database
          .write('push is given up', (tx) => deletePending(tx, line.key, dropped.position))
          .catch((error: unknown) => log.warn({ err: error }, 'A notification that is given up stays written down'));
    }
    if (!line.isFailing) turns.take(line);
    return line;
  };

  return {
    add,
    restore: (rows) => {
      for (const row of rows) {
        const actions = JSON.parse(row.actions) as PushRule['actions'];
        add(row, { position: row.position, eventNum: row.event_num, roomNum: row.room_num, actions }).stored.add(row.position);
      }
    },
    updateBadge: async (pusher) => {
      const badge = await badgeFor(pusher);
      if (badge === undefined || pusher.enabled === 0 || told.get(nameOf(pusher)) === badge) return;
      told.set(nameOf(pusher), badge);
      await notify(pusher, { content: { id: '', type: null, sender: '', counts: { unread: badge } }, tweaks: undefined });
    },
    settle: async () => {
      let oldest: number | undefined;
      for (const line of lines.values()) {
        if (line.isFailing) await storeAll(line);
        const first = line.waiting.find(({ position }) => !line.stored.has(position));
        if (first !== undefined) oldest = Math.min(oldest ?? Infinity, first.position);
      }
      return oldest;
    },
    stop: async () => {
      stopping.abort();
      await turns.stop();
    },
  };
};
