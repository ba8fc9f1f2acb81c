import { domainOf, isUserId } from '#src/protocol/identifiers.ts';
import { clampedInteger, isExactNumber, isJsonObject, type JsonObject, type JsonValue } from '#src/protocol/json.ts';
import type { Heard } from '#src/presence/book.ts';
import { MAX_STATUS_BYTES } from '#src/presence/limits.ts';
import { type Presence, PRESENCES } from '#src/presence/states.ts';

/** What one EDU may say of how many. */
const MAX_USERS = 1000;

const isPresence = (value: JsonValue | undefined): value is Presence => (PRESENCES as readonly unknown[]).includes(value);

const agoMs = (value: JsonValue | undefined): number | undefined => {
  if (typeof value !== 'number' && !isExactNumber(value)) return undefined;
  const ms = clampedInteger(value);
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined;
};

/** What is in order of an EDU `m.presence` (server-server API, "Presence"): of users of the server that sends it, the last word on each. */
export const heardOf = (origin: string, { push }: JsonObject, nowMs: number): Omit<Heard, 'userNum'>[] => {
  const heard = new Map<string, Omit<Heard, 'userNum'>>();
  const all = Array.isArray(push) ? (push as readonly JsonValue[]).slice(0, MAX_USERS) : [];
  for (const each of all) {
    if (!isJsonObject(each)) continue;
    const { user_id: userId, presence, last_active_ago: ago, status_msg: message, currently_active: isActive } = each;
    if (!isUserId(userId) || domainOf(userId) !== origin || !isPresence(presence)) continue;
    const lastActiveAgoMs = agoMs(ago);
    const isFitting = typeof message === 'string' && Buffer.byteLength(message) <= MAX_STATUS_BYTES;
    heard.set(userId, {
      userId,
      presence,
      isActive: isActive === true,
      lastActiveMs: lastActiveAgoMs === undefined ? undefined : Math.max(0, Math.floor(nowMs - lastActiveAgoMs)),
      statusMessage: isFitting ? message : undefined,
    });
  }
  return [...heard.values()];
};
