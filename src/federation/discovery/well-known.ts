import type { Clock } from '#src/platform/clock.ts';
import { entryCache } from '#src/platform/cache/index.ts';
import type { HttpClient, OutgoingAnswer } from '#src/platform/network/index.ts';
import type { Random } from '#src/platform/random.ts';
import { parseServerName } from '#src/protocol/identifiers.ts';
import { isJsonObject, type JsonValue } from '#src/protocol/json.ts';

/** To which server name another delegates, by its `/.well-known/matrix/server`; `undefined` where it does not. */
export interface WellKnown {
  find(hostname: string): Promise<string | undefined>;
}

const SECOND = 1000;
const HOUR = 3600 * SECOND;

/** How long answers are believed, which are Synapse's times. */
const DEFAULT_MS = 24 * HOUR;
const MIN_MS = 300 * SECOND;
const MAX_MS = 48 * HOUR;
/** What was no delegation is asked for again after this; sooner where there was one lately, which may come back. */
const NONE_MS = HOUR;
const LOST_MS = 120 * SECOND;
/** For how long it counts that there was one. */
const REMEMBERED_MS = 2 * HOUR;
/** In the last part of its time an answer is renewed, and still counts if that fails. */
const RENEWED_PART = 0.2;
const MAX_BYTES = 51_200;
const MAX_REDIRECTS = 5;
const TIMEOUT_MS = 10_000;
const ATTEMPTS_FOR_LOST = 3;
const MAX_REMEMBERED = 10_000;

interface Found {
  readonly delegate: string | undefined;
  readonly renewAtMs: number;
  readonly untilMs: number;
}

const jitter = (random: Random, share: number): number => 1 + (share * (random.below(2001) - 1000)) / 1000;

/** How long an answer asks to be believed, in milliseconds; `undefined` when it says nothing about that. */
const lifetimeOf = ({ headers }: Pick<OutgoingAnswer, 'headers'>, nowMs: number): number | undefined => {
  const directives = (headers['cache-control'] ?? '').toLowerCase();
  if (/\bno-(?:store|cache)\b/.test(directives)) return 0;
  const maxAge = /\bmax-age\s*=\s*"?(\d+)/.exec(directives)?.[1];
  if (maxAge !== undefined) return Number(maxAge) * SECOND;
  const { expires } = headers;
  if (expires === undefined) return undefined;
  const atMs = Date.parse(expires);
  return Number.isNaN(atMs) ? 0 : Math.max(0, atMs - nowMs);
};

const parseDelegate = (body: Buffer): string | undefined => {
  try {
    const value = JSON.parse(body.toString('utf8')) as JsonValue;
    const delegate = isJsonObject(value) ? value['m.server'] : undefined;
    return typeof delegate === 'string' && parseServerName(delegate) !== undefined ? delegate : undefined;
  } catch {
    return undefined;
  }
};

/** Asks a host once to whom it delegates. Throws `OutgoingError`; `answer` is undefined where redirects lead nowhere. */
export const askDelegation = async (
  http: HttpClient,
  hostname: string,
): Promise<{ readonly answer: OutgoingAnswer | undefined; readonly delegate: string | undefined }> => {
  let url = new URL(`https://${hostname}/.well-known/matrix/server`);
  for (let hops = 0; hops <= MAX_REDIRECTS; hops += 1) {
    const answer = await http.request({ method: 'GET', url: url.href, timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES });
    const { location } = answer.headers;
    if (answer.status < 300 || answer.status >= 400 || location === undefined)
      return { answer, delegate: answer.status === 200 ? parseDelegate(answer.body) : undefined };
    const next = URL.parse(location, url.href);
    if (next === null || !/^https?:$/.test(next.protocol)) break;
    url = next;
  }
  return { answer: undefined, delegate: undefined };
};

/** Asks for delegations, and remembers the answers (server-server API, Resolving server names, step 3). */
export const createWellKnown = ({ http, clock, random }: { http: HttpClient; clock: Clock; random: Random }): WellKnown => {
  const answers = entryCache<string, Found>(MAX_REMEMBERED);
  /** When a host last had a delegation. */
  const lastGood = entryCache<string, number>(MAX_REMEMBERED);
  const asking = new Map<string, Promise<string | undefined>>();

  const ask = async (hostname: string): Promise<Pick<Found, 'delegate' | 'untilMs'> | undefined> => {
    try {
      const { answer, delegate } = await askDelegation(http, hostname);
      if (answer === undefined || delegate === undefined) return undefined;
      const lifetimeMs = lifetimeOf(answer, clock.now()) ?? DEFAULT_MS * jitter(random, 0.1);
      return { delegate, untilMs: clock.now() + Math.min(MAX_MS, Math.max(MIN_MS, lifetimeMs)) };
    } catch {
      // Whatever kept us from reading it, the server is then sought where it would be without.
      return undefined;
    }
  };

  const renew = async (hostname: string, old: Found | undefined): Promise<string | undefined> => {
    const hadOne = clock.now() - (lastGood.get(hostname) ?? -Infinity) < REMEMBERED_MS;
    for (let attempt = 0; attempt < (hadOne ? ATTEMPTS_FOR_LOST : 1); attempt += 1) {
      const found = await ask(hostname);
      if (found === undefined) continue;
      const nowMs = clock.now();
      lastGood.set(hostname, nowMs);
      answers.set(hostname, { ...found, renewAtMs: found.untilMs - (found.untilMs - nowMs) * RENEWED_PART });
      return found.delegate;
    }
    const nowMs = clock.now();
    if (old?.delegate !== undefined && old.untilMs > nowMs) {
      answers.set(hostname, { ...old, renewAtMs: Math.min(old.untilMs, nowMs + LOST_MS) });
      return old.delegate;
    }
    const untilMs = nowMs + (hadOne ? LOST_MS : NONE_MS) * jitter(random, 0.1);
    answers.set(hostname, { delegate: undefined, untilMs, renewAtMs: untilMs });
    return undefined;
  };

  return {
    find: (hostname) => {
      const known = answers.get(hostname);
      if (known !== undefined && clock.now() < known.renewAtMs) return Promise.resolve(known.delegate);
      let asked = asking.get(hostname);
      if (asked === undefined) {
        asked = renew(hostname, known).finally(() => asking.delete(hostname));
        asking.set(hostname, asked);
      }
      return asked;
    },
  };
};
