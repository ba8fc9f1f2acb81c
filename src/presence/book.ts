import { domainOf } from '#src/protocol/identifiers.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import type { RateLimiter } from '#src/platform/http/rate-limits.ts';
import { type Alarms, createAlarms } from '#src/presence/alarms.ts';
import type { PresenceMetrics } from '#src/presence/metrics.ts';
import {
  combined,
  type DevicePresence,
  growOld,
  newsIn,
  nextLookMs,
  type Presence,
  PRESENCES,
  REMOTE_MS,
  REPEAT_MS,
  type Timings,
  type UserPresence,
} from '#src/presence/states.ts';
import {
  deletePresence,
  lastPosition,
  type PresenceRow,
  putPresence,
  readNotOffline,
  readPresence,
  setAllOffline,
} from '#src/presence/store.ts';

/** A user of this server, and where from. */
export interface Who {
  readonly userNum: number;
  readonly userId: string;
  readonly deviceId: string | undefined;
}

/** What another server says of its user. */
export type Heard = Pick<UserPresence, 'userNum' | 'userId' | 'presence' | 'statusMessage' | 'isActive'> & {
  readonly lastActiveMs: number | undefined;
};

/**
 * How users are: in memory who is not offline, or has become so lately, and in the database what must outlive the process. Knows nothing of rooms. What is done
 * here is in force at once; `onNews` is told whose presence others have to hear of.
 */
export interface Book {
  /** Up to where changes had been written at the start. */
  readonly startPosition: number;
  /** Resolves when it is in its place in the stream; set once. */
  onNews(listener: (userNums: readonly number[]) => Promise<void>): void;
  /** It is time to tell other servers again of these. */
  onRepeat(listener: (userNums: readonly number[]) => Promise<void>): void;
  /** A change has this position in the stream. */
  placed(userNum: number, position: number): void;
  /** From memory only. */
  of(userNum: number): UserPresence | undefined;
  /** Everybody in memory, with the position of the last change. */
  all(): Iterable<{ readonly user: UserPresence; readonly changedMs: number }>;
  /** How a user is, or was when last heard of. */
  current(userNum: number, userId: string): Promise<UserPresence>;
  userOf(row: PresenceRow, userId: string): UserPresence;
  /** A device syncs from now until what this answers is called. Does not count as such with `offline`. */
  startSync(who: Who, presence: Presence): Promise<() => void>;
  /** A device says how its user is. */
  set(who: Who, presence: Presence, statusMessage: string | undefined): Promise<void>;
  /** The user has done something. Costs nothing for who is offline, or was active just now. */
  active(who: Who): void;
  hear(heard: readonly Heard[]): Promise<void>;
  /** The account is closed, in this transaction. */
  forget(tx: Transaction, userNum: number): Promise<void>;
  /** Looks at those of whom it is time. */
  lookAgain(): Promise<void>;
  /** Writes what has changed, and lets go of who has been offline since before `floor`. */
  write(floor: number): Promise<void>;
  /** Writes also when those who are here were last active. */
  writeAll(): Promise<void>;
}

export interface BookTools {
  readonly database: Pick<Database, 'read' | 'write'>;
  readonly strings: Pick<Strings, 'textOf'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly serverName: string;
  readonly timings: Timings;
  /** Whether presence comes of what users do; else everybody is offline. */
  readonly isTracked: boolean;
  readonly limiter: Pick<RateLimiter, 'tryTake'>;
  readonly metrics: PresenceMetrics;
}

interface Entry {
  user: UserPresence;
  readonly devices: Map<string, DevicePresence>;
  changedMs: number;
  /** The account is closed. */
  isGone?: boolean;
}

const WRITTEN_AT_ONCE = 500;
/** So many users are kept in memory before no more of other servers are. */
const MAX_USERS = 200_000;
/** What users seemed to be on before the process started. */
const BEFORE_START = ' ';
const NOTHING = (): void => undefined;

/** How long an alarm may be late. */
export const stepOf = ({ activeMs, offlineMs, idleMs }: Timings): number =>
  Math.min(1000, Math.max(50, Math.floor(Math.min(activeMs, offlineMs, idleMs) / 5)));

const isPresence = (text: string): text is Presence => (PRESENCES as readonly string[]).includes(text);

export const openBook = async (tools: BookTools): Promise<Book> => {
  const { database, strings, clock, serverName, timings, isTracked, limiter, metrics } = tools;
  const entries = new Map<number, Entry>();
  const alarms: Alarms = createAlarms(stepOf(timings));
  const dirty = new Set<number>();
  let tell: (userNums: readonly number[]) => Promise<void> = async () => undefined;
  let repeat = tell;
  metrics.watch(() => ({ users: entries.size, alarms: alarms.size() }));

  const nobody = (userNum: number, userId: string): UserPresence => ({
    userNum,
    userId,
    isLocal: domainOf(userId) === serverName,
    presence: 'offline',
    lastActiveMs: 0,
    statusMessage: undefined,
    isActive: false,
    heardMs: clock.now(),
  });

  const userOf: Book['userOf'] = (row, userId) => ({
    ...nobody(row.user_num, userId),
    presence: isPresence(row.state) ? row.state : 'offline',
    lastActiveMs: row.last_active_ms,
    statusMessage: row.status_msg === null ? undefined : (JSON.parse(row.status_msg) as string),
  });

  const rowOf = ({ user, changedMs }: Entry): PresenceRow => ({
    user_num: user.userNum,
    state: user.presence,
    last_active_ms: user.lastActiveMs,
    status_msg: user.statusMessage === undefined ? null : JSON.stringify(user.statusMessage),
    changed_ms: changedMs,
  });

  const setAlarm = ({ user, devices }: Entry): void => alarms.set(user.userNum, nextLookMs(user, devices.values(), timings));

  /** Takes in how a user is now, and answers whether that is news for others. */
  const take = (entry: Entry, fields: Partial<UserPresence>): boolean => {
    const before = entry.user;
    const after = { ...before, ...fields };
    if (after.isLocal) after.isActive = after.presence === 'online' && clock.now() - after.lastActiveMs < timings.activeMs;
    const reason = newsIn(before, after, timings);
    if (reason !== undefined && after.isLocal) after.heardMs = clock.now();
    entry.user = after;
    setAlarm(entry);
    metrics.updates(1);
    if (reason !== undefined) metrics.told(after.isLocal, reason, before.presence, after.presence);
    return reason !== undefined;
  };

  const stored = async (userNum: number): Promise<PresenceRow | undefined> =>
    (await database.read('presence', (reader) => readPresence(reader, [userNum])))[0];

  /** The entry of a user of this server, made where there is none. */
  const entryOf = async ({ userNum, userId }: Pick<Who, 'userNum' | 'userId'>): Promise<Entry> => {
    const known = entries.get(userNum);
    if (known !== undefined) return known;
    const row = await stored(userNum);
    // Another request may have been faster.
    const made = entries.get(userNum) ?? {
      user: row === undefined ? nobody(userNum, userId) : userOf(row, userId),
      devices: new Map<string, DevicePresence>(),
      changedMs: row?.changed_ms ?? 0,
    };
    entries.set(userNum, made);
    return made;
  };

  const deviceOf = (entry: Entry, { deviceId = '' }: Who): DevicePresence => {
    const known = entry.devices.get(deviceId);
    if (known !== undefined) return known;
    const made: DevicePresence = { presence: 'offline', lastActiveMs: 0, lastSyncMs: 0, syncs: 0 };
    entry.devices.set(deviceId, made);
    return made;
  };

  /** What a user's devices make of the user, one of them having been active now. */
  const together = ({ devices }: Entry): Partial<UserPresence> => {
    const presence = combined(devices.values());
    return { presence, ...((presence === 'online' || presence === 'busy') && { lastActiveMs: clock.now() }) };
  };

  const startSync: Book['startSync'] = async (who, presence) => {
    if (!isTracked || presence === 'offline') return NOTHING;
    const entry = await entryOf(who);
    const before = entry.devices.get(who.deviceId ?? '')?.presence;
    // Who is busy stays so while syncing on.
    const wanted = before === 'busy' ? before : presence;
    const isAllowed = before === wanted || limiter.tryTake(`sync ${who.userId}`).allowed;
    if (!isAllowed && before === undefined) return NOTHING;
    const device = deviceOf(entry, who);
    if (isAllowed) device.presence = wanted;
    device.syncs += 1;
    device.lastActiveMs = device.lastSyncMs = clock.now();
    if (take(entry, together(entry))) await tell([who.userNum]);
    return () => {
      device.syncs -= 1;
      device.lastSyncMs = clock.now();
      if (entries.get(who.userNum) === entry) setAlarm(entry);
    };
  };

  const active: Book['active'] = (who) => {
    const entry = entries.get(who.userNum);
    if (entry === undefined || entry.user.presence === 'offline') return;
    const device = deviceOf(entry, who);
    const nowMs = clock.now();
    const wasIdle = device.presence === 'unavailable';
    if (!wasIdle && nowMs - device.lastActiveMs < timings.activeMs / 2) return;
    metrics.bumped();
    device.lastActiveMs = nowMs;
    if (wasIdle) device.presence = 'online';
    if (take(entry, { presence: combined(entry.devices.values()), lastActiveMs: nowMs })) void tell([who.userNum]);
  };

  const hear: Book['hear'] = async (heard) => {
    const news: number[] = [];
    for (const { lastActiveMs, ...told } of heard) {
      let entry = entries.get(told.userNum);
      if (entry === undefined && (told.presence === 'offline' || entries.size >= MAX_USERS)) continue;
      entry ??= { user: nobody(told.userNum, told.userId), devices: new Map(), changedMs: 0 };
      entries.set(told.userNum, entry);
      const fields = { ...told, ...(lastActiveMs !== undefined && { lastActiveMs }), heardMs: clock.now() };
      if (take(entry, fields)) news.push(told.userNum);
    }
    metrics.heardFromOthers(heard.length);
    if (news.length > 0) await tell(news);
  };

  const lookAgain = async (): Promise<void> => {
    const nowMs = clock.now();
    const due = alarms.due(nowMs);
    if (due.length === 0) return;
    metrics.timersFired(due.length);
    const news: number[] = [];
    const old: number[] = [];
    for (const userNum of due) {
      const entry = entries.get(userNum);
      if (entry === undefined) continue;
      const { user, devices } = entry;
      if (user.isLocal) growOld(devices, nowMs, timings);
      const hasVanished = nowMs - user.heardMs >= REMOTE_MS;
      const presence = user.isLocal ? combined(devices.values()) : hasVanished ? 'offline' : user.presence;
      const isOld = user.isLocal && presence !== 'offline' && nowMs - user.heardMs >= REPEAT_MS;
      if (take(entry, { presence, ...(isOld && { heardMs: nowMs }) })) news.push(userNum);
      else if (isOld) old.push(userNum);
    }
    if (news.length > 0) await tell(news);
    if (old.length > 0) await repeat(old);
  };

  const writeSome = async (userNums: readonly number[]): Promise<void> => {
    await database.write('presence', async (tx) => {
      const gone: number[] = [];
      for (const userNum of userNums) {
        const entry = entries.get(userNum);
        if (entry === undefined) continue;
        const isKept = entry.isGone !== true && (entry.user.isLocal || entry.user.presence !== 'offline');
        if (isKept) putPresence(tx, rowOf(entry));
        else gone.push(userNum);
      }
      if (gone.length > 0) await deletePresence(tx, gone);
    });
  };

  const write: Book['write'] = async (floor) => {
    while (dirty.size > 0) {
      const some = [...dirty.values().take(WRITTEN_AT_ONCE)];
      for (const userNum of some) dirty.delete(userNum);
      await writeSome(some).catch((error: unknown) => {
        for (const userNum of some) dirty.add(userNum);
        throw error;
      });
    }
    for (const [userNum, { user, devices, changedMs }] of entries)
      if (user.presence === 'offline' && devices.size === 0 && changedMs < floor && !dirty.has(userNum)) entries.delete(userNum);
  };

  const load = async (): Promise<number> => {
    const { rows, position } = await database.read('presence at start', async (reader) => ({
      rows: await readNotOffline(reader),
      position: await lastPosition(reader),
    }));
    if (!isTracked) {
      if (rows.length === 0) return position;
      const next = Math.max(position + 1, clock.now());
      await database.write('presence is off', async (tx) => setAllOffline(tx, next));
      return next;
    }
    const userIds = await strings.textOf(rows.map((row) => row.user_num));
    const nowMs = clock.now();
    for (const row of rows) {
      const user = userOf(row, userIds.get(row.user_num) ?? '');
      const device: DevicePresence = { presence: user.presence, lastActiveMs: nowMs, lastSyncMs: nowMs, syncs: 0 };
      const devices = new Map(user.isLocal ? [[BEFORE_START, device]] : []);
      const entry: Entry = { user, devices, changedMs: row.changed_ms };
      entries.set(row.user_num, entry);
      setAlarm(entry);
    }
    return position;
  };

  return {
    startPosition: await load(),
    onNews: (listener) => {
      tell = listener;
    },
    onRepeat: (listener) => {
      repeat = listener;
    },
    placed: (userNum, position) => {
      const entry = entries.get(userNum);
      if (entry === undefined) return;
      entry.changedMs = position;
      dirty.add(userNum);
    },
    of: (userNum) => entries.get(userNum)?.user,
    all: () => entries.values(),
    current: async (userNum, userId) => {
      const known = entries.get(userNum)?.user;
      if (known !== undefined) return known;
      const row = await stored(userNum);
      return row === undefined ? nobody(userNum, userId) : userOf(row, userId);
    },
    userOf,
    startSync,
    set: async (who, presence, statusMessage) => {
      if (!isTracked) return;
      const entry = await entryOf(who);
      const device = deviceOf(entry, who);
      device.presence = presence;
      device.lastActiveMs = clock.now();
      if (take(entry, { ...together(entry), statusMessage })) await tell([who.userNum]);
    },
    active,
    hear,
    forget: async (tx, userNum) => {
      await deletePresence(tx, [userNum]);
      tx.onCommit(() => {
        const entry = entries.get(userNum);
        if (entry === undefined) return;
        entry.isGone = true;
        entry.devices.clear();
        const isNews = take(entry, { presence: 'offline', lastActiveMs: 0, statusMessage: undefined });
        if (isNews) void tell([userNum]);
      });
    },
    lookAgain,
    write,
    writeAll: async () => {
      for (const [userNum, { user }] of entries) if (user.presence !== 'offline') dirty.add(userNum);
      await write(0);
    },
  };
};
