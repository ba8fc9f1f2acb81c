import { canonicalJson } from '#src/protocol/canonical-json.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import type { EduSource } from '#src/federation/outbox/edus.ts';
import type { Peers } from '#src/federation/service.ts';

/** EDUs that are worth nothing later: of each kind of news the last, in memory alone. */
export interface VolatileEdus extends EduSource {
  /** Tells servers something that takes the place of what they have yet to be told under the same key. Servers that are left alone for now are not told. */
  put(destinations: Iterable<string>, key: string, content: JsonObject): void;
}

export interface VolatileTools {
  readonly serverName: string;
  readonly peers: { readonly isAllowed: Peers['isAllowed']; readonly backOff: Pick<Peers['backOff'], 'trouble'> };
}

/** Of more for one server the oldest are given up. */
const MAX_WAITING = 1000;

export const createVolatileEdus = (type: string, { serverName, peers }: VolatileTools): VolatileEdus => {
  const waiting = new Map<string, Map<string, string>>();
  const listeners: ((destinations: Iterable<string>) => void)[] = [];

  return {
    put: (destinations, key, content) => {
      const text = canonicalJson({ content, edu_type: type });
      const told: string[] = [];
      for (const name of destinations) {
        if (name === serverName || !peers.isAllowed(name) || peers.backOff.trouble(name) !== undefined) continue;
        const news = waiting.getOrInsertComputed(name, () => new Map());
        news.delete(key);
        news.set(key, text);
        const oldest = news.size > MAX_WAITING ? news.keys().next().value : undefined;
        if (oldest !== undefined) news.delete(oldest);
        told.push(name);
      }
      if (told.length > 0) for (const listener of listeners) listener(told);
    },
    isWaiting: (destination) => waiting.has(destination),
    take: (destination, { count, bytes }) => {
      const news = waiting.get(destination);
      if (news === undefined) return Promise.resolve(undefined);
      const texts: string[] = [];
      let left = bytes;
      for (const [key, text] of news) {
        if (texts.length === count || (texts.length > 0 && text.length > left)) break;
        texts.push(text);
        left -= text.length;
        news.delete(key);
      }
      if (news.size === 0) waiting.delete(destination);
      // What fails is sent again with the transaction that it is in.
      return Promise.resolve({ type, texts, sent: () => Promise.resolve() });
    },
    waiting: () => waiting.keys(),
    count: () => waiting.values().reduce((sum, news) => sum + news.size, 0),
    onWaiting: (listener) => void listeners.push(listener),
  };
};
