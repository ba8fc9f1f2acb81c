import type { HttpClient } from '#src/platform/network/index.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { isJsonObject, type JsonObject } from '#src/protocol/json.ts';
import type { Notification } from '#src/push/pushers/payload.ts';
import type { PusherRow } from '#src/push/pushers/store.ts';

/** What became of a notification: the gateway has taken it, does not know the device any more, or could not be told. */
export type Delivery = 'taken' | 'rejected' | 'failed';

/** Tells push gateways. */
export type Notify = (pusher: PusherRow, notification: Notification) => Promise<Delivery>;

const TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 65_536;

/** The device as the gateway knows it. */
const deviceOf = (pusher: PusherRow, tweaks: JsonObject | undefined): JsonObject => {
  const { url: _url, ...data } = JSON.parse(pusher.data) as JsonObject;
  return {
    app_id: pusher.app_id,
    pushkey: pusher.pushkey,
    pushkey_ts: Math.floor(pusher.created_ts / 1000),
    data,
    ...(tweaks !== undefined && Object.keys(tweaks).length > 0 && { tweaks }),
  };
};

const rejectedIn = (body: Buffer): readonly unknown[] => {
  try {
    const answer: unknown = JSON.parse(body.toString('utf8'));
    return isJsonObject(answer) && Array.isArray(answer['rejected']) ? (answer['rejected'] as readonly unknown[]) : [];
  } catch {
    return [];
  }
};

/** `http` respects the addresses that this server does not connect to: the URL is whatever a user says. */
export const createNotify =
  ({ http, log }: { http: Pick<HttpClient, 'request'>; log: Logger }): Notify =>
  async (pusher, { content, tweaks }) => {
    const { url } = JSON.parse(pusher.data) as { url: string };
    try {
      const { status, body } = await http.request({
        method: 'POST',
        url,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ notification: { ...content, devices: [deviceOf(pusher, tweaks)] } }),
        timeoutMs: TIMEOUT_MS,
        maxBytes: MAX_ANSWER_BYTES,
      });
      if (status < 200 || status >= 300) {
        log.info(`The push gateway at ${new URL(url).host} answers ${String(status)}`);
        return 'failed';
      }
      return rejectedIn(body).includes(pusher.pushkey) ? 'rejected' : 'taken';
    } catch (error) {
      log.info(`The push gateway at ${new URL(url).host} could not be told: ${(error as Error).message}`);
      return 'failed';
    }
  };
