import type { Requester } from '#src/accounts/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Database } from '#src/platform/database/types.ts';
import { invalidParam, missingParam, unknown } from '#src/protocol/errors.ts';
import { isJsonObject, type JsonObject } from '#src/protocol/json.ts';
import { EVENTS_STREAM } from '#src/rooms/graph/index.ts';
import {
  deletePushers,
  pusherByKey,
  type PusherKey,
  type PusherRow,
  pushersOfOthers,
  pushersOfUser,
  putPusher,
} from '#src/push/pushers/store.ts';

/** What a client says of a pusher that it sets. */
export interface WantedPusher {
  readonly kind: string;
  readonly app_id: string;
  readonly pushkey: string;
  readonly app_display_name: string;
  readonly device_display_name: string;
  readonly profile_tag?: string | undefined;
  readonly lang: string;
  readonly data: JsonObject;
  /** Whether pushers of other users with the same key stay. */
  readonly append?: boolean | undefined;
  readonly enabled?: boolean | undefined;
}

/** Users' pushers (client-server API, Push Notifications). */
export interface Pushers {
  list(userNum: number): Promise<readonly PusherRow[]>;
  /** Adds a pusher or replaces the one with its key. Throws `missingParam` and `invalidParam` for what no notification can be sent to, `unknown` for too many. */
  set(requester: Requester, wanted: WantedPusher): Promise<void>;
  /** Removes a pusher; one that is not there changes nothing. */
  remove(key: PusherKey): Promise<void>;
  /** Calls when a user may have come to have pushers, or none any more. */
  onChanged(listener: (userNum: number) => void): void;
}

/** More than any person has devices. */
const MAX_PUSHERS = 100;
const MAX_PUSHKEY_BYTES = 512;
const MAX_APP_ID_CHARS = 64;
const MAX_DATA_BYTES = 16_384;
const NOTIFY_PATH = '/_matrix/push/v1/notify';

const checkUrl = ({ url }: JsonObject): void => {
  if (url === undefined) throw missingParam("Config Error: 'url' required in data for HTTP pusher");
  const parsed = typeof url === 'string' ? URL.parse(url) : null;
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) throw missingParam("Config Error: 'url' must be a URL");
  if (parsed.pathname !== NOTIFY_PATH) throw missingParam(`Config Error: 'url' must have a path of '${NOTIFY_PATH}'`);
};

const check = ({ kind, app_id: appId, pushkey, data }: WantedPusher): void => {
  if (kind !== 'http') throw invalidParam(`There are no pushers of the kind ${kind} here`);
  if (appId.length > MAX_APP_ID_CHARS) throw invalidParam(`app_id must not be longer than ${String(MAX_APP_ID_CHARS)} characters`);
  if (Buffer.byteLength(pushkey) > MAX_PUSHKEY_BYTES)
    throw invalidParam(`pushkey must not be longer than ${String(MAX_PUSHKEY_BYTES)} bytes`);
  if (!isJsonObject(data) || JSON.stringify(data).length > MAX_DATA_BYTES) throw invalidParam('data must be a small object');
  checkUrl(data);
};

export const createPushers = ({
  database,
  clock,
}: {
  database: Pick<Database, 'read' | 'write' | 'positions'>;
  clock: Pick<Clock, 'now'>;
}): Pushers => {
  const listeners: ((userNum: number) => void)[] = [];
  const tell = (userNums: Iterable<number>): void => {
    for (const userNum of userNums) for (const listener of listeners) listener(userNum);
  };

  return {
    list: (userNum) => database.read('pushers', (reader) => pushersOfUser(reader, userNum)),
    set: async ({ userNum, sessionNum, deviceId }, wanted) => {
      check(wanted);
      const key = { app_id: wanted.app_id, pushkey: wanted.pushkey, user_num: userNum };
      const changed = await database.write('set pusher', async (tx) => {
        const others = wanted.append === true ? [] : await pushersOfOthers(tx, key);
        await deletePushers(tx, others);
        const known = await pusherByKey(tx, key);
        if (known === undefined && (await pushersOfUser(tx, userNum)).length >= MAX_PUSHERS)
          throw unknown(`A user may have ${String(MAX_PUSHERS)} pushers at most`);
        putPusher(tx, {
          ...key,
          kind: wanted.kind,
          app_display_name: wanted.app_display_name,
          device_display_name: wanted.device_display_name,
          profile_tag: wanted.profile_tag ?? '',
          lang: wanted.lang,
          data: JSON.stringify(wanted.data),
          // One without a session is an application service's, and stays.
          session_num: sessionNum ?? 0,
          device_id: deviceId ?? null,
          enabled: wanted.enabled === false ? 0 : 1,
          created_ts: known?.created_ts ?? clock.now(),
          last_position: known?.last_position ?? database.positions.current(EVENTS_STREAM).min,
          failing_since_ts: null,
        });
        return [userNum, ...others.map((other) => other.user_num)];
      });
      tell(changed);
    },
    remove: async (key) => {
      await database.write('remove pusher', (tx) => deletePushers(tx, [key]));
      tell([key.user_num]);
    },
    onChanged: (listener) => void listeners.push(listener),
  };
};
