import { invalidParam, unknown } from '#src/protocol/errors.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import type { Random } from '#src/platform/random.ts';
import { issueAccessToken, issueRefreshToken, tokenEnds } from '#src/accounts/issue.ts';
import type { Requesters } from '#src/accounts/requesters.ts';
import { deleteSessions, insertSession, readAccessTokenHashes, readEndedSessions, readSessions } from '#src/accounts/store/sessions.ts';
import type { DevicePort, Requester } from '#src/accounts/types.ts';

/** What a session of the log-in API may do: everything, in OAuth's words. */
const LOGIN_SCOPES = 'urn:matrix:client:api:*';

const DEVICE_LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const MAX_DEVICE_ID_LENGTH = 512;
/** How long an ended session still answers with `soft_logout`, so that a client keeps its encryption keys. */
const ENDED_SESSION_KEPT_MS = 30 * 24 * 3600 * 1000;
const SWEEP_LIMIT = 500;

/** Device and token wishes of a log-in or registration, checked. */
export interface DeviceWish {
  readonly deviceId: string | undefined;
  readonly displayName: string | undefined;
  /** Whether the client can refresh its access token. */
  readonly refreshable: boolean;
}

export interface StartedSession {
  readonly deviceId: string;
  readonly accessToken: string;
  readonly expiresTs: number | undefined;
  readonly refreshToken: string | undefined;
}

export interface Sessions {
  /** Logs a user in: a device (made up if none is wished for), a session and its tokens. Earlier sessions of the same device end. */
  readonly start: (tx: Transaction, user: { userNum: number; localpart: string }, wish: DeviceWish) => Promise<StartedSession>;
  /** Ends a user's sessions on these devices; the devices stay. */
  readonly endOnDevices: (tx: Transaction, userNum: number, deviceIds: readonly string[]) => Promise<void>;
  /** Ends all of a user's sessions but one; the devices stay. */
  readonly endAll: (tx: Transaction, userNum: number, exceptSession?: number) => Promise<void>;
  /** Ends the requester's session and deletes its device. */
  readonly logout: (requester: Requester) => Promise<void>;
  /** Ends all the requester's sessions and deletes all devices. */
  readonly logoutEverywhere: (requester: Requester) => Promise<void>;
  /** Deletes sessions that ended long ago. */
  readonly sweep: () => Promise<void>;
}

/** Reads a body's `device_id`, `initial_device_display_name` and `refresh_token`; throws `M_INVALID_PARAM` or `M_UNKNOWN`. */
export const readDeviceWish = (body: Readonly<Record<string, unknown>>): DeviceWish => {
  const { device_id: deviceId, initial_device_display_name: displayName, refresh_token: refreshable = false } = body;
  if (typeof refreshable !== 'boolean') throw unknown('`refresh_token` should be true or false.');
  if (deviceId !== undefined && deviceId !== null && typeof deviceId !== 'string') throw invalidParam('device_id must be a string');
  if (displayName !== undefined && displayName !== null && typeof displayName !== 'string') {
    throw invalidParam('initial_device_display_name must be a string');
  }
  if (deviceId?.includes('\0') === true || displayName?.includes('\0') === true) throw invalidParam('Null bytes are not allowed');
  if (typeof deviceId === 'string' && deviceId.length > MAX_DEVICE_ID_LENGTH) {
    throw invalidParam(`device_id cannot be longer than ${String(MAX_DEVICE_ID_LENGTH)} characters.`);
  }
  return { deviceId: deviceId || undefined, displayName: displayName ?? undefined, refreshable };
};

type Lifetimes = Pick<
  Config,
  'nonrefreshable_access_token_lifetime' | 'refreshable_access_token_lifetime' | 'refresh_token_lifetime' | 'session_lifetime'
>;

/** Sessions: how they begin and end. Refreshing one is `createRefreshing`'s. */
export const createSessions = ({
  database,
  clock,
  random,
  config,
  devices,
  requesters,
  onSessionsEnded,
}: {
  database: Database;
  clock: Clock;
  random: Random;
  config: Lifetimes;
  devices: DevicePort;
  requesters: Requesters;
  /** Deletes what belongs to sessions. */
  onSessionsEnded?: ((tx: Transaction, sessionNums: readonly number[]) => Promise<void>) | undefined;
}): Sessions => {
  const end = async (tx: Transaction, sessionNums: readonly number[]): Promise<void> => {
    if (sessionNums.length === 0) return;
    const hashes = await readAccessTokenHashes(tx, sessionNums);
    await deleteSessions(tx, sessionNums);
    await onSessionsEnded?.(tx, sessionNums);
    tx.onCommit(() => requesters.forget(hashes));
  };

  const endOnDevices = async (tx: Transaction, userNum: number, deviceIds: readonly string[]): Promise<void> => {
    const ended = (await readSessions(tx, userNum)).filter(
      (session) => session.device_id !== null && deviceIds.includes(session.device_id),
    );
    await end(
      tx,
      ended.map((session) => session.session_num),
    );
  };

  const endAll = async (tx: Transaction, userNum: number, exceptSession?: number): Promise<void> => {
    const ended = (await readSessions(tx, userNum)).filter((session) => session.session_num !== exceptSession);
    await end(
      tx,
      ended.map((session) => session.session_num),
    );
  };

  const addDevice = async (tx: Transaction, userNum: number, wish: DeviceWish): Promise<string> => {
    if (wish.deviceId !== undefined) {
      const isNew = await devices.add(tx, { userNum, deviceId: wish.deviceId, displayName: wish.displayName });
      if (!isNew) await endOnDevices(tx, userNum, [wish.deviceId]);
      return wish.deviceId;
    }
    for (let tries = 0; tries < 5; tries += 1) {
      const deviceId = random.string(10, DEVICE_LETTERS);
      if (await devices.add(tx, { userNum, deviceId, displayName: wish.displayName })) return deviceId;
    }
    throw new Error('no free device id found in five tries');
  };

  const start: Sessions['start'] = async (tx, { userNum, localpart }, wish) => {
    const nowMs = clock.now();
    const deviceId = await addDevice(tx, userNum, wish);
    const sessionNum = await tx.nextPositions('sessions');
    const sessionEndsTs = config.session_lifetime === undefined ? undefined : nowMs + config.session_lifetime;
    insertSession(tx, {
      session_num: sessionNum,
      user_num: userNum,
      device_id: deviceId,
      client: null,
      scopes: LOGIN_SCOPES,
      created_ts: nowMs,
      expires_ts: sessionEndsTs ?? null,
    });
    const refreshable = wish.refreshable && config.refreshable_access_token_lifetime !== undefined;
    const ends = tokenEnds(config, nowMs, sessionEndsTs, refreshable);
    const issue = { sessionNum, localpart, ends };
    const refreshToken = refreshable ? issueRefreshToken(tx, random, issue) : undefined;
    const accessToken = issueAccessToken(tx, random, issue, refreshToken);
    return { deviceId, accessToken, expiresTs: ends.access, refreshToken };
  };

  return {
    start,
    endOnDevices,
    endAll,
    logout: ({ userNum, deviceId, sessionNum }) =>
      database.write('logout', async (tx) => {
        if (deviceId !== undefined) {
          await endOnDevices(tx, userNum, [deviceId]);
          await devices.remove(tx, userNum, [deviceId]);
        } else if (sessionNum !== undefined) {
          await end(tx, [sessionNum]);
        }
      }),
    logoutEverywhere: ({ userNum }) =>
      database.write('logout everywhere', async (tx) => {
        await endAll(tx, userNum);
        await devices.removeAll(tx, userNum);
      }),
    sweep: async () => {
      const beforeTs = clock.now() - ENDED_SESSION_KEPT_MS;
      const sweepSome = async (tx: Transaction): Promise<number> => {
        const ended = await readEndedSessions(tx, beforeTs, SWEEP_LIMIT);
        await end(tx, ended);
        return ended.length;
      };
      while ((await database.write('sweep sessions', sweepSome)) === SWEEP_LIMIT);
    },
  };
};
