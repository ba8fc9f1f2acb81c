import type { Database } from '#src/platform/database/types.ts';
import { redactsOf } from '#src/protocol/client-event.ts';
import { clampedInteger } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import type { RoomEvent, RoomGraph } from '#src/rooms/graph/index.ts';
import { deleteWords, type Indexed, putWords } from '#src/search/store.ts';
import { keyNumOf, searchedText, weightedWords } from '#src/search/texts.ts';
import { eventNumsInPast } from '#src/search/views.ts';

/** Keeps the index current; a follower of the streams of events. Whatever it does may be repeated. */
export interface Indexer {
  /** Takes in the events of the timeline with positions in (from, to]. */
  live(from: number, to: number): Promise<void>;
  /** Takes in the events that took the places (from, to] in rooms' pasts. */
  past(from: number, to: number): Promise<void>;
}

const placeOf = (event: RoomEvent): Indexed => ({
  roomNum: event.roomNum,
  eventNum: event.num,
  ts: clampedInteger(event.pdu.origin_server_ts),
});

export const createIndexer = ({
  database,
  graph,
}: {
  database: Pick<Database, 'read' | 'write'>;
  graph: Pick<RoomGraph, 'events' | 'rooms'> & { readonly timeline: Pick<RoomGraph['timeline'], 'between'> };
}): Indexer => {
  /** What these events have redacted. Their texts are still known here. */
  const redactedBy = async (redactions: readonly RoomEvent[]): Promise<RoomEvent[]> => {
    if (redactions.length === 0) return [];
    const rooms = await graph.rooms([...new Set(redactions.map((event) => event.roomNum))]);
    const ids = redactions.flatMap((event) => {
      const room = rooms.get(event.roomNum);
      return (room && redactsOf(event, roomVersion(room.version))) ?? [];
    });
    return [...(await graph.events.byIds(ids)).values()].filter((target) => target.redactedBy !== undefined);
  };

  const take = async (events: readonly RoomEvent[]): Promise<void> => {
    const texts = events.flatMap((event) => {
      const text = event.redactedBy === undefined ? searchedText(event.pdu) : undefined;
      return text === undefined ? [] : [{ event, words: weightedWords(text) }];
    });
    const gone = (await redactedBy(events.filter((event) => event.pdu.type === 'm.room.redaction'))).flatMap((event) => {
      const text = searchedText(event.pdu);
      return text === undefined ? [] : [{ event, words: weightedWords(text).map(({ word }) => word) }];
    });
    if (texts.length + gone.length === 0) return;
    await database.write('index messages', async (tx) => {
      for (const { event, words } of texts) putWords(tx, placeOf(event), keyNumOf(event.pdu.type), words);
      for (const { event, words } of gone) await deleteWords(tx, placeOf(event), words);
    });
  };

  return {
    live: async (from, to) => take(await graph.timeline.between(from, to, to - from)),
    past: async (from, to) => {
      const nums = await database.read('events in the past', (reader) => eventNumsInPast(reader, from, to));
      await take(await graph.events.list(nums));
    },
  };
};
