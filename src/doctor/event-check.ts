import { clampedInteger } from '#src/protocol/json.ts';
import { parsePdu, type ParsedEvent, redactedCopy } from '#src/protocol/events.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import { type SigningKey, verifySignedText } from '#src/protocol/signatures.ts';
import { type Repair, type Report, repairBy } from '#src/doctor/finding.ts';
import { rewriteColumns } from '#src/doctor/repairs.ts';
import type { EventRow, RoomRow } from '#src/doctor/views.ts';

/** This server, whose signatures can be checked. */
export interface OwnServer {
  readonly serverName: string;
  readonly keys: readonly Pick<SigningKey, 'keyId' | 'key'>[];
}

/** In what the row's columns differ from the event itself. */
const columnFaults = (row: EventRow, { pdu }: ParsedEvent, texts: ReadonlyMap<number, string>): string[] => {
  const columns: readonly (readonly [name: string, stored: unknown, own: unknown])[] = [
    ['type', texts.get(row.type_num), pdu.type],
    ['sender', texts.get(row.sender_num), pdu.sender],
    ['state key', row.state_key_num === null ? undefined : texts.get(row.state_key_num), pdu.state_key],
    ['time', row.origin_server_ts, clampedInteger(pdu.origin_server_ts)],
    ['depth', row.depth, clampedInteger(pdu.depth)],
  ];
  return columns.filter(([, stored, own]) => stored !== own).map(([name]) => name);
};

/** Writes the columns from the event; not where one of its texts was never seen by this server. */
const columnRepair = async (
  row: EventRow,
  { pdu }: ParsedEvent,
  numOf: (text: string) => Promise<number | undefined>,
): Promise<Repair | undefined> => {
  const [typeNum, senderNum] = [await numOf(pdu.type), await numOf(pdu.sender)];
  const stateKeyNum = pdu.state_key === undefined ? null : await numOf(pdu.state_key);
  if (typeNum === undefined || senderNum === undefined || stateKeyNum === undefined) return undefined;
  const columns = {
    type_num: typeNum,
    sender_num: senderNum,
    state_key_num: stateKeyNum,
    origin_server_ts: clampedInteger(pdu.origin_server_ts),
    depth: clampedInteger(pdu.depth),
  };
  return repairBy('The table is written anew from the event.', (tx) => rewriteColumns(tx, row.event_num, columns));
};

/** Looks at an event by itself: text, id, content hash, this server's signature, and the columns of its row. Answers it parsed, if it can be. */
export const checkEvent = async (
  room: RoomRow,
  version: RoomVersion,
  own: OwnServer,
  row: EventRow,
  texts: ReadonlyMap<number, string>,
  numOf: (text: string) => Promise<number | undefined>,
  report: Report,
): Promise<ParsedEvent | undefined> => {
  const say = (check: string, sentence: string): void => report({ check, roomId: room.room_id, eventId: row.event_id, sentence });
  let parsed: ParsedEvent;
  try {
    parsed = parsePdu(row.json, version);
  } catch (error) {
    say('event-text', `The stored text of the event cannot be read as an event: ${(error as Error).message}.`);
    return undefined;
  }
  if (parsed.eventId !== row.event_id) {
    say('event-id', `The stored text is not that of this event: its id would be ${parsed.eventId}. It was changed after it was stored.`);
    return undefined;
  }
  if (parsed.json !== row.json)
    say('event-text', 'The stored text is not in canonical form. Other servers would see another text than this one.');
  if (parsed.roomId !== room.room_id) say('event-room', `The event says that it belongs to ${parsed.roomId}.`);
  // What came with a wrong hash is kept in its redacted form, whose hash never fits.
  if (!parsed.contentHashMatches && redactedCopy(parsed, version).json !== parsed.json)
    say('content-hash', 'The content is not what its sender sent: the content hash does not fit. It was changed after it was stored.');
  if (domainOf(parsed.pdu.sender) === own.serverName) {
    const found = verifySignedText(parsed.signedText, parsed.pdu.signatures, own.serverName, (keyId) =>
      own.keys.find((key) => key.keyId === keyId),
    );
    if (found === 'missing' || found === 'invalid')
      say('signature', `This server's signature is ${found === 'missing' ? 'missing' : 'wrong'}. Other servers will refuse the event.`);
  }
  const wrong = columnFaults(row, parsed, texts);
  if (wrong.length > 0)
    report({
      check: 'event-columns',
      roomId: room.room_id,
      eventId: row.event_id,
      sentence: `The table says something else than the event of its ${wrong.join(', ')}.`,
      repair: await columnRepair(row, parsed, numOf),
    });
  return parsed;
};
