import type { RateLimiter } from '#src/platform/http/rate-limits.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import { byteLength, domainOf } from '#src/protocol/identifiers.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { type ContentTexts, KEY_REQUEST, MAX_CONTENT_BYTES } from '#src/to-device/recipients.ts';

/** Messages of one user of another server (server-server API, `m.direct_to_device`). */
export interface IncomingMessages {
  readonly sender: string;
  readonly type: string;
  /** By which its server tells messages apart. */
  readonly messageId: string;
  /** Contents by user and device; the device `*` stands for all devices of the user. */
  readonly messages: readonly (readonly [userId: string, byDevice: readonly (readonly [deviceId: string, content: JsonObject])[]])[];
}

/** The same for those who are here, by their numbers. */
export interface DeliverableMessages {
  readonly messageId: string;
  readonly own: ReadonlyMap<number, ContentTexts>;
  /** What stands before and after the content. */
  readonly around: readonly [before: string, after: string];
}

/** Leaves out who is not here, contents that are too large, and requests for room keys beyond the limit. */
export const deliverable = async (
  { sender, type, messageId, messages }: IncomingMessages,
  { serverName, strings, keyRequests }: { serverName: string; strings: Pick<Strings, 'numOf'>; keyRequests: Pick<RateLimiter, 'tryTake'> },
): Promise<DeliverableMessages> => {
  const own = new Map<number, ContentTexts>();
  for (const [userId, byDevice] of messages) {
    const userNum = domainOf(userId) === serverName ? await strings.numOf(userId) : undefined;
    if (userNum === undefined || (type === KEY_REQUEST && !keyRequests.tryTake(sender).allowed)) continue;
    const texts = byDevice.map(([deviceId, content]) => [deviceId, JSON.stringify(content)] as const);
    own.set(userNum, new Map(texts.filter(([, text]) => byteLength(text) <= MAX_CONTENT_BYTES)));
  }
  return { messageId, own, around: ['{"content":', `,"sender":${JSON.stringify(sender)},"type":${JSON.stringify(type)}}`] };
};
