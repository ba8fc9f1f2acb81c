import type { Requester } from '#src/accounts/index.ts';
import type { RateLimiter } from '#src/platform/http/rate-limits.ts';
import { tooLarge } from '#src/protocol/errors.ts';
import { byteLength, domainOf, isUserId } from '#src/protocol/identifiers.ts';
import type { JsonObject } from '#src/protocol/json.ts';

/** Contents by user id and device id; the device `*` stands for all devices of the user. */
export type Messages = Readonly<Record<string, Readonly<Record<string, JsonObject>>>>;

/** The JSON of contents, by device. */
export type ContentTexts = ReadonlyMap<string, string>;

export interface Recipients {
  /** This server's users, by their ids. */
  readonly own: ReadonlyMap<string, ContentTexts>;
  /** Users of other servers, by server and id. */
  readonly remote: ReadonlyMap<string, ReadonlyMap<string, ContentTexts>>;
}

/** As much as other servers take at once. */
export const MAX_CONTENT_BYTES = 65_536;
/** Limited, for there may be many. */
export const KEY_REQUEST = 'm.room_key_request';

/**
 * Whom a request sends what, without those who cannot exist. Requests for room keys to other users are limited, and those beyond the limit dropped, as
 * there will be more. Throws `M_TOO_LARGE` for a content over 65,536 bytes.
 */
export const sortRecipients = (
  messages: Messages,
  type: string,
  { requester, serverName, keyRequests }: { requester: Requester; serverName: string; keyRequests: Pick<RateLimiter, 'tryTake'> },
): Recipients => {
  const own = new Map<string, ContentTexts>();
  const remote = new Map<string, Map<string, ContentTexts>>();
  const sender = `${requester.userId} ${requester.deviceId ?? ''}`;
  for (const [userId, byDevice] of Object.entries(messages)) {
    const domain = isUserId(userId) ? domainOf(userId) : undefined;
    if (domain === undefined) continue;
    const texts = new Map(Object.entries(byDevice).map(([deviceId, content]) => [deviceId, JSON.stringify(content)]));
    for (const [deviceId, text] of texts) {
      const bytes = byteLength(text);
      if (bytes > MAX_CONTENT_BYTES)
        throw tooLarge(
          `To-device message for ${userId}:${deviceId} is too large to send (${String(bytes)} > ${String(MAX_CONTENT_BYTES)})`,
        );
    }
    if (texts.size === 0) continue;
    if (type === KEY_REQUEST && userId !== requester.userId && !keyRequests.tryTake(sender).allowed) continue;
    if (domain === serverName) own.set(userId, texts);
    else remote.set(domain, (remote.get(domain) ?? new Map<string, ContentTexts>()).set(userId, texts));
  }
  return { own, remote };
};

/** The contents for a user's devices; one that is named comes before `*`. */
export const byDevice = function* (
  texts: ContentTexts,
  deviceIds: ReadonlySet<string>,
): Generator<readonly [deviceId: string, text: string]> {
  const forAll = texts.get('*');
  if (forAll === undefined) {
    for (const [deviceId, text] of texts) if (deviceIds.has(deviceId)) yield [deviceId, text];
    return;
  }
  for (const deviceId of deviceIds) yield [deviceId, texts.get(deviceId) ?? forAll];
};
