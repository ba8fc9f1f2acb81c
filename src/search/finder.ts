import type { Requester } from '#src/accounts/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import { allows, relatedByOf, type RoomEventFilter } from '#src/filters/index.ts';
import type { RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { History, Shown } from '#src/rooms/history/index.ts';
import { findEvents, type FoundRow, type Place } from '#src/search/store.ts';
import { fits, type SearchTerms } from '#src/search/terms.ts';
import { searchedText } from '#src/search/texts.ts';

/** What is looked for, and where. */
export interface Hunt {
  readonly rooms: ReadonlyMap<number, RoomInfo>;
  readonly terms: SearchTerms;
  readonly keyNums: readonly number[];
  readonly filter: RoomEventFilter;
  readonly isByRank: boolean;
  readonly after: Place;
  readonly limit: number;
}

/** An event that was found and that the reader may see. */
export interface Hit {
  readonly shown: Shown;
  readonly score: number;
  readonly place: Place;
}

export interface Catch {
  readonly hits: readonly Hit[];
  /** How many events have the words, whether the reader may see them or not. */
  readonly total: number;
  /** From where on to go on; undefined where nothing is left. */
  readonly next: Place | undefined;
}

export type Find = (reader: Requester, hunt: Hunt) => Promise<Catch>;

interface Candidate {
  readonly place: Place;
  readonly score: number;
}

/** So often it is looked on for events that the reader may see and wants to. */
const MAX_ROUNDS = 5;
const MIN_CANDIDATES = 20;

const byPlace = ({ place: a }: Candidate, { place: b }: Candidate): number => b.rank - a.rank || b.ts - a.ts || b.eventNum - a.eventNum;

const candidatesOf = (rows: readonly FoundRow[]): Candidate[] =>
  rows
    .flatMap(({ event_num: eventNum, ts, score, place }) =>
      eventNum === null ? [] : [{ place: { rank: place ?? 0, ts: ts ?? 0, eventNum }, score: score ?? 0 }],
    )
    .sort(byPlace);

/** Finds events by the index, and of those the ones that the reader may see and wants to. */
export const createFind = ({
  database,
  graph,
  history,
}: {
  database: Pick<Database, 'readLong'>;
  graph: Pick<RoomGraph, 'events'>;
  history: Pick<History, 'visibility' | 'siftRelated'>;
}): Find => {
  const isWanted = (event: RoomEvent, { rooms, terms, filter }: Hunt): boolean => {
    const room = rooms.get(event.roomNum);
    const { type, sender, content } = event.pdu;
    // The index may be behind a redaction.
    if (room === undefined || event.redactedBy !== undefined || !fits(searchedText(event.pdu) ?? '', terms)) return false;
    return allows(filter, { type, sender, roomId: room.roomId, content });
  };

  const visibleAmong = async (reader: Requester, hunt: Hunt, nums: readonly number[]): Promise<ReadonlyMap<number, Shown>> => {
    const wanted = (await graph.events.list(nums)).filter((event) => isWanted(event, hunt));
    const visible = new Map<number, Shown>();
    for (const [roomNum, events] of Map.groupBy(wanted, (event) => event.roomNum)) {
      const related = await history.siftRelated(events, relatedByOf(hunt.filter));
      for (const shown of await history.visibility.visible(reader, hunt.rooms.get(roomNum) as RoomInfo, related))
        visible.set(shown.event.num, shown);
    }
    return visible;
  };

  return async (reader, hunt) => {
    const { rooms, terms, keyNums, isByRank, limit } = hunt;
    const count = Math.max(2 * limit, MIN_CANDIDATES);
    const hits: Hit[] = [];
    let after = hunt.after;
    let total = 0;
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const query = { roomNums: [...rooms.keys()], words: terms.words, whole: terms.whole, keyNums, isByRank, after, limit: count };
      const rows = await database.readLong<FoundRow>('search messages', findEvents(query));
      const candidates = candidatesOf(rows);
      total = rows[0]?.total ?? 0;
      const visible = await visibleAmong(
        reader,
        hunt,
        candidates.map(({ place }) => place.eventNum),
      );
      for (const { place, score } of candidates) {
        if (hits.length === limit) break;
        const shown = visible.get(place.eventNum);
        if (shown !== undefined) hits.push({ shown, score, place });
      }
      // Whether there is more is not looked up: a full page may be followed by an empty one.
      if (hits.length === limit) return { hits, total, next: hits.at(-1)?.place };
      if (candidates.length < count) return { hits, total, next: undefined };
      after = candidates.at(-1)?.place ?? after;
    }
    return { hits, total, next: after };
  };
};
