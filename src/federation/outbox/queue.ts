import type { HeldTransaction } from '#src/federation/outbox/transactions.ts';

/** An event that waits to be sent; one object for all servers that it goes to. */
export interface Waiting {
  readonly num: number;
  readonly roomNum: number;
  readonly position: number;
  /** When it was noted, in monotonic milliseconds. */
  readonly sinceMs: number;
}

/** What a server lacks of a room: something from one position on, up to another at least. */
export interface Gap {
  readonly from: number;
  last: number;
}

/**
 * What one server has yet to be sent of rooms. While it keeps up, that is a row of events. One that has fallen behind is sent the latest event of each room alone, by which
 * it learns of the others (as Synapse does), and until then only the rooms are kept.
 */
export interface Queue {
  readonly name: string;
  events: Waiting[];
  /** Rooms in which it has fallen behind. */
  readonly gaps: Map<number, Gap>;
  /** Rooms that are noted in the database. */
  readonly noted: Set<number>;
  /** Rooms in which it has fallen behind, and that have yet to be noted. */
  readonly unnoted: Set<number>;
  /** The transaction that failed and is tried again as it was. */
  held: HeldTransaction | undefined;
  isSending: boolean;
  /** The last event that the server took. */
  lastSentPosition: number | undefined;
  lastError: { readonly text: string; readonly ts: number } | undefined;
  /** Whether the two above differ from what is stored. */
  isDirty: boolean;
}

/** A server that has more to get than this gets the latest of each room. */
const MAX_EVENTS = 1000;

export const createQueue = (name: string): Queue => ({
  name,
  events: [],
  gaps: new Map(),
  noted: new Set(),
  unnoted: new Set(),
  held: undefined,
  isSending: false,
  lastSentPosition: undefined,
  lastError: undefined,
  isDirty: true,
});

const widen = ({ gaps, noted, unnoted }: Queue, { roomNum, position }: Pick<Waiting, 'roomNum' | 'position'>): void => {
  const gap = gaps.get(roomNum);
  if (gap !== undefined) {
    gap.last = Math.max(gap.last, position);
    return;
  }
  gaps.set(roomNum, { from: position, last: position });
  if (!noted.has(roomNum)) unnoted.add(roomNum);
};

/** The server has the latest event of a room up to a position; unless it lacks a later one, the gap is closed. */
export const closeGap = ({ gaps, unnoted }: Queue, roomNum: number, upTo: number): void => {
  if ((gaps.get(roomNum)?.last ?? 0) > upTo) return;
  gaps.delete(roomNum);
  unnoted.delete(roomNum);
};

/** From now on the server gets the latest event of each room alone, until it has caught up. */
export const fallBehind = (queue: Queue): void => {
  for (const event of queue.events) widen(queue, event);
  queue.events = [];
};

/** Adds an event for the server. */
export const add = (queue: Queue, event: Waiting): void => {
  if (queue.gaps.size > 0) {
    widen(queue, event);
    return;
  }
  queue.events.push(event);
  if (queue.events.length > MAX_EVENTS) fallBehind(queue);
};

/** What has to be noted in the database so that the server is sent it after a crash, and up to where everything else has been sent. */
export interface Unsettled {
  readonly notes: readonly { readonly roomNum: number; readonly from: number }[];
  /** The first event that is neither sent nor among the notes. */
  readonly oldest: number | undefined;
}

const SETTLED: Unsettled = { notes: [], oldest: undefined };

/** Events that wait since before `beforeMs` (monotonic) are to be noted; those that came later will be sent before that is worth it. */
export const unsettled = ({ events, gaps, noted, unnoted }: Queue, beforeMs: number): Unsettled => {
  const [first] = events;
  if (unnoted.size === 0 && first === undefined) return SETTLED;
  const lacking = new Map([...unnoted].map((roomNum) => [roomNum, gaps.get(roomNum)?.from ?? 0]));
  const isFresh = first !== undefined && first.sinceMs > beforeMs;
  if (!isFresh)
    for (const { roomNum, position } of events) if (!noted.has(roomNum) && !lacking.has(roomNum)) lacking.set(roomNum, position);
  return { notes: [...lacking].map(([roomNum, from]) => ({ roomNum, from })), oldest: isFresh ? first.position : undefined };
};

/** Its notes are being written. */
export const noteRoom = ({ noted, unnoted }: Queue, roomNum: number): void => {
  noted.add(roomNum);
  unnoted.delete(roomNum);
};

/** They could not be written. */
export const unnoteRoom = ({ gaps, noted, unnoted }: Queue, roomNum: number): void => {
  noted.delete(roomNum);
  if (gaps.has(roomNum)) unnoted.add(roomNum);
};
