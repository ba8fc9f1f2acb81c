import type { BackgroundUpdate } from '#src/platform/database/background-updates.ts';
import { parseStoredPdu } from '#src/protocol/events.ts';
import { deleteSome, putWords } from '#src/search/store.ts';
import { keyNumOf, SEARCHED_TYPES, searchedText, weightedWords } from '#src/search/texts.ts';
import { eventsOfTypes, lastEventNum } from '#src/search/views.ts';

/** The update of migration 55. */
export const SEARCH_INDEX = 'search_index';

/** Makes the index anew: empties it first, and then takes in event after event. What is not there again yet is not found meanwhile. */
export const rebuildSearchIndex: BackgroundUpdate = async (tx, progress, batchSize) => {
  if (typeof progress['after'] !== 'number') {
    const deleted = await deleteSome(tx, batchSize);
    return { done: false, progress: deleted < batchSize ? { after: 0 } : {}, processed: deleted };
  }
  const { after } = progress as { after: number };
  const upTo = after + batchSize;
  for (const { event_num: eventNum, room_num: roomNum, origin_server_ts: ts, json } of await eventsOfTypes(
    tx,
    SEARCHED_TYPES,
    after,
    upTo,
  )) {
    const pdu = parseStoredPdu(json);
    const text = searchedText(pdu);
    if (text !== undefined) putWords(tx, { roomNum, eventNum, ts }, keyNumOf(pdu.type), weightedWords(text));
  }
  const last = await lastEventNum(tx);
  return { done: upTo >= last, progress: { after: upTo }, processed: Math.max(0, Math.min(upTo, last) - after) };
};
