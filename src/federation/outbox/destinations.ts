import type { BackOff, Trouble } from '#src/federation/back-off.ts';
import type { EduSource } from '#src/federation/outbox/edus.ts';
import type { Queue } from '#src/federation/outbox/queue.ts';

/** How sending to a server is doing. Times in milliseconds since 1970. */
export interface DestinationStatus {
  readonly name: string;
  /** Undefined for a server that is well, as far as is known. */
  readonly trouble: Trouble | undefined;
  /** The stream position of the last event that it took. */
  readonly lastSentPosition: number | undefined;
  /** Why the last transaction did not reach it; undefined when it did. */
  readonly lastError: { readonly text: string; readonly ts: number } | undefined;
  /** Events that wait for it. */
  readonly events: number;
  /** Rooms of which it is to have the latest event, because it has fallen behind. */
  readonly roomsBehind: number;
  /** Whether something else than events waits. */
  readonly hasEdus: boolean;
  readonly isSending: boolean;
}

/** The servers that this one has sent to, meant to, or could not reach. */
export interface Destinations {
  all(): DestinationStatus[];
  one(name: string): DestinationStatus | undefined;
  /** Takes a server for well again, and sends at once what waits for it. Answers whether it was in trouble. */
  retryNow(name: string): boolean;
}

export const createDestinations = ({
  queues,
  sources,
  backOff,
}: {
  queues: ReadonlyMap<string, Queue>;
  sources: readonly EduSource[];
  backOff: Pick<BackOff, 'trouble' | 'inTrouble' | 'heardFrom'>;
}): Destinations => {
  const statusOf = (name: string): DestinationStatus => {
    const queue = queues.get(name);
    return {
      name,
      trouble: backOff.trouble(name),
      lastSentPosition: queue?.lastSentPosition,
      lastError: queue?.lastError,
      events: queue?.events.length ?? 0,
      roomsBehind: queue?.gaps.size ?? 0,
      hasEdus: sources.some((source) => source.isWaiting(name)),
      isSending: queue?.isSending ?? false,
    };
  };
  return {
    all: () => [...new Set([...queues.keys(), ...backOff.inTrouble()])].map(statusOf),
    one: (name) => (queues.has(name) || backOff.trouble(name) !== undefined ? statusOf(name) : undefined),
    retryNow: (name) => {
      if (backOff.trouble(name) === undefined) return false;
      backOff.heardFrom(name);
      return true;
    },
  };
};
