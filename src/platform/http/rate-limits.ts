import { limitExceeded } from '#src/protocol/errors.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { IncomingRequest, Limit } from './route.ts';

/** As under each `rc_…` key of the configuration. */
export interface RateLimitSettings {
  /** How fast the bucket leaks, in actions a second. */
  readonly per_second: number;
  /** How many actions the bucket holds. */
  readonly burst_count: number;
}

export interface RateLimitVerdict {
  readonly allowed: boolean;
  /** How long until one action would be allowed; 0 when it is now. */
  readonly retryAfterMs: number;
}

export interface RateLimitOptions {
  /** How many actions at once; 1 by default. All of them or none. */
  readonly cost?: number;
  /** `false` only asks. */
  readonly count?: boolean;
  /** In place of the limiter's own, such as a user's override. */
  readonly settings?: RateLimitSettings | undefined;
}

/** A leaky bucket for each key: denied actions do not fill it. */
export interface RateLimiter {
  /** The configuration key it stands for. */
  readonly key: string;
  /** Whether `who` may act, counting it if so. */
  tryTake(who: string, options?: RateLimitOptions): RateLimitVerdict;
  /** @throws MatrixError M_LIMIT_EXCEEDED */
  check(who: string, options?: RateLimitOptions): void;
  /** Counts actions that happened whatever the limit says, such as those of other servers. */
  record(who: string, cost?: number): void;
  /** Takes new settings; what was counted stays. */
  reload(settings: RateLimitSettings): void;
  /** For a route's line: each client address has a bucket. */
  readonly byAddress: Limit<unknown>;
  /** For a route's line: a bucket for each name that `whoIs` gives; `undefined` is not limited. */
  by<Caller>(whoIs: (caller: Caller, request: IncomingRequest) => string | undefined): Limit<Caller>;
  /** How many buckets are not empty, or were not at the last sweep. */
  size(): number;
}

interface Bucket {
  /** Actions let through since `emptyAtMs`. */
  actions: number;
  /** When it was last empty. */
  emptyAtMs: number;
  perSecond: number;
}

const SWEEP_MS = 60_000;

/** What a bucket that never leaks tells: there is no right answer. */
const NEVER_MS = 60_000;

/** Buckets in memory, by Synapse's arithmetic; those that have leaked out are swept away. */
export const createRateLimiter = (options: { clock: Clock; key: string; settings: RateLimitSettings }): RateLimiter => {
  const { clock, key } = options;
  let settings = options.settings;
  let sweptMs = clock.monotonic();
  const buckets = new Map<string, Bucket>();

  const sweep = (nowMs: number): void => {
    if (nowMs - sweptMs < SWEEP_MS) return;
    sweptMs = nowMs;
    for (const [who, bucket] of buckets) {
      if (bucket.actions - ((nowMs - bucket.emptyAtMs) / 1000) * bucket.perSecond <= 0) buckets.delete(who);
    }
  };

  const tryTake = (who: string, { cost = 1, count = true, settings: own = settings }: RateLimitOptions = {}): RateLimitVerdict => {
    const nowMs = clock.monotonic();
    sweep(nowMs);
    const bucket = buckets.get(who);
    let actions = bucket?.actions ?? 0;
    let emptyAtMs = bucket?.emptyAtMs ?? nowMs;
    let inBucket = actions - ((nowMs - emptyAtMs) / 1000) * own.per_second;
    if (inBucket < 0) {
      inBucket = 0;
      actions = 0;
      emptyAtMs = nowMs;
    }
    // Not `inBucket + cost > burst_count`: the sum of a precise fraction and an integer is rounded.
    const allowed = inBucket <= own.burst_count - cost;
    if (allowed && count) {
      actions += cost;
      buckets.set(who, { actions, emptyAtMs, perSecond: own.per_second });
    }
    if (allowed) return { allowed, retryAfterMs: 0 };
    if (own.per_second <= 0) return { allowed, retryAfterMs: NEVER_MS };
    const freeAtMs = emptyAtMs + ((actions - own.burst_count + 1) / own.per_second) * 1000;
    return { allowed, retryAfterMs: Math.max(0, freeAtMs - nowMs) };
  };

  const check = (who: string, given?: RateLimitOptions): void => {
    const verdict = tryTake(who, given);
    if (!verdict.allowed) throw limitExceeded(verdict.retryAfterMs);
  };

  return {
    key,
    tryTake,
    check,
    record: (who, cost = 1) => {
      const nowMs = clock.monotonic();
      sweep(nowMs);
      const bucket = buckets.get(who) ?? { actions: 0, emptyAtMs: nowMs, perSecond: settings.per_second };
      buckets.set(who, { ...bucket, actions: bucket.actions + cost });
    },
    reload: (next) => {
      settings = next;
    },
    byAddress: (_caller, request) => check(request.ip),
    by: (whoIs) => (caller, request) => {
      const who = whoIs(caller, request);
      if (who !== undefined) check(who);
    },
    size: () => buckets.size,
  };
};

/** Where the limiters' settings stand in the configuration. */
const SETTINGS = {
  rc_message: (config) => config.rc_message,
  // Without settings of their own these count as messages.
  rc_admin_redaction: (config) => config.rc_admin_redaction ?? config.rc_message,
  rc_registration: (config) => config.rc_registration,
  rc_registration_token_validity: (config) => config.rc_registration_token_validity,
  'rc_login.address': (config) => config.rc_login.address,
  'rc_login.account': (config) => config.rc_login.account,
  'rc_login.failed_attempts': (config) => config.rc_login.failed_attempts,
  'rc_joins.local': (config) => config.rc_joins.local,
  'rc_joins.remote': (config) => config.rc_joins.remote,
  rc_joins_per_room: (config) => config.rc_joins_per_room,
  'rc_invites.per_room': (config) => config.rc_invites.per_room,
  'rc_invites.per_user': (config) => config.rc_invites.per_user,
  'rc_invites.per_issuer': (config) => config.rc_invites.per_issuer,
  rc_room_creation: (config) => config.rc_room_creation,
  rc_reports: (config) => config.rc_reports,
  rc_key_requests: (config) => config.rc_key_requests,
  'rc_presence.per_user': (config) => config.rc_presence.per_user,
  rc_user_directory: (config) => config.rc_user_directory,
} as const satisfies Readonly<Record<string, (config: Config) => RateLimitSettings>>;

export type RateLimitName = keyof typeof SETTINGS;

/** The rate limits of a homeserver, by their keys in the configuration. */
export interface RateLimiters {
  readonly of: (name: RateLimitName) => RateLimiter;
  /** What redacting the messages of others counts for: `rc_admin_redaction` where that is set, else `rc_message`. */
  readonly ofAdminRedactions: () => RateLimiter;
  /** Takes the settings of a new configuration; what was counted stays. */
  readonly reload: (config: Config) => void;
}

/** One limiter for each key, whoever asks for it. */
export const createRateLimiters = ({ clock, config }: { clock: Clock; config: Config }): RateLimiters => {
  const names = Object.keys(SETTINGS) as RateLimitName[];
  const limiters = new Map(names.map((name) => [name, createRateLimiter({ clock, key: name, settings: SETTINGS[name](config) })]));
  let hasAdminRedactions = config.rc_admin_redaction !== undefined;
  const of = (name: RateLimitName): RateLimiter => limiters.get(name) as RateLimiter;
  return {
    of,
    ofAdminRedactions: () => of(hasAdminRedactions ? 'rc_admin_redaction' : 'rc_message'),
    reload: (next) => {
      hasAdminRedactions = next.rc_admin_redaction !== undefined;
      for (const [name, limiter] of limiters) limiter.reload(SETTINGS[name](next));
    },
  };
};
