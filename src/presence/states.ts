import type { JsonObject } from '#src/protocol/json.ts';

/** Client-server API, "Presence"; `busy` is MSC3026. */
export type Presence = 'online' | 'unavailable' | 'offline' | 'busy';

export const PRESENCES: readonly Presence[] = ['online', 'unavailable', 'offline', 'busy'];

/** When what is known of somebody grows old. */
export interface Timings {
  /** So long after the last activity somebody counts as active right now. */
  readonly activeMs: number;
  /** So long after its last sync a device counts as offline. */
  readonly offlineMs: number;
  /** So long without activity a device that is online counts as unavailable. */
  readonly idleMs: number;
}

/** How one device of a user of this server was last seen. */
export interface DevicePresence {
  presence: Presence;
  lastActiveMs: number;
  lastSyncMs: number;
  /** How many of its requests for `/sync` are under way. */
  syncs: number;
}

/** How a user is. */
export interface UserPresence {
  readonly userNum: number;
  readonly userId: string;
  readonly isLocal: boolean;
  readonly presence: Presence;
  /** 0 for never. */
  readonly lastActiveMs: number;
  readonly statusMessage: string | undefined;
  /** Active right now; means something only for who is online. */
  readonly isActive: boolean;
  /** When the user's server last told; of users of this server, when other servers were last told. */
  readonly heardMs: number;
}

/** A device that is busy may be silent for so long. */
const BUSY_MS = 60 * 60_000;
/** Another server that says nothing of its user for so long has forgotten to. */
export const REMOTE_MS = 30 * 60_000;
/** So often other servers are told again of who is not offline, before they think that they have been forgotten. */
export const REPEAT_MS = 25 * 60_000;

const RANK: Readonly<Record<Presence, number>> = { busy: 4, online: 3, unavailable: 2, offline: 1 };

/** What a user's devices make together: what is most present wins. */
export const combined = (devices: Iterable<Pick<DevicePresence, 'presence'>>): Presence => {
  let most: Presence = 'offline';
  for (const { presence } of devices) if (RANK[presence] > RANK[most]) most = presence;
  return most;
};

const isOfflineAt = ({ presence, lastActiveMs, lastSyncMs, syncs }: DevicePresence, { offlineMs }: Timings): number =>
  syncs > 0 ? Infinity : Math.max(lastActiveMs, lastSyncMs) + (presence === 'busy' ? BUSY_MS : offlineMs);

const isIdleAt = ({ presence, lastActiveMs }: DevicePresence, { idleMs }: Timings): number =>
  presence === 'online' ? lastActiveMs + idleMs : Infinity;

/** Takes away the devices that have been silent for too long, and makes those unavailable that have been idle. */
export const growOld = (devices: Map<string, DevicePresence>, nowMs: number, timings: Timings): void => {
  for (const [deviceId, device] of devices) {
    if (isIdleAt(device, timings) <= nowMs) device.presence = 'unavailable';
    if (isOfflineAt(device, timings) <= nowMs) devices.delete(deviceId);
  }
};

/** When somebody's presence is to be looked at again, as nothing may have happened until then. */
export const nextLookMs = (user: UserPresence, devices: Iterable<DevicePresence>, timings: Timings): number => {
  if (!user.isLocal) return user.presence === 'offline' ? Infinity : user.heardMs + REMOTE_MS;
  let next = user.presence === 'offline' ? Infinity : user.heardMs + REPEAT_MS;
  if (user.presence === 'online' && user.isActive) next = Math.min(next, user.lastActiveMs + timings.activeMs);
  for (const device of devices) next = Math.min(next, isIdleAt(device, timings), isOfflineAt(device, timings));
  return next;
};

export type Reason =
  | 'status_msg_change'
  | 'state_change'
  | 'current_active_change'
  | 'last_active_change_online'
  | 'last_active_change_not_online';

/** Why a change is worth telling; undefined when it is not. */
export const newsIn = (before: UserPresence, after: UserPresence, { activeMs }: Timings): Reason | undefined => {
  if (before.statusMessage !== after.statusMessage) return 'status_msg_change';
  if (before.presence !== after.presence) return 'state_change';
  const isBump = after.lastActiveMs - before.lastActiveMs > activeMs;
  if (after.presence !== 'online') return isBump ? 'last_active_change_not_online' : undefined;
  if (before.isActive !== after.isActive) return 'current_active_change';
  // Of who is active right now it does not matter since when.
  return isBump && !after.isActive ? 'last_active_change_online' : undefined;
};

/** The content of `m.presence`, which is also the answer of `GET …/status`. */
export const contentOf = (
  { presence, lastActiveMs, statusMessage, isActive }: Pick<UserPresence, 'presence' | 'lastActiveMs' | 'statusMessage' | 'isActive'>,
  nowMs: number,
): JsonObject => ({
  presence,
  ...(lastActiveMs > 0 && { last_active_ago: Math.max(0, nowMs - lastActiveMs) }),
  ...(statusMessage !== undefined && statusMessage !== '' && { status_msg: statusMessage }),
  ...(presence === 'online' && { currently_active: isActive }),
});
