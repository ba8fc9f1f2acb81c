import { redactsOf } from '#src/protocol/client-event.ts';
import { type ParsedEvent, parseStoredPdu } from '#src/protocol/events.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import { powerLevels } from '#src/protocol/power-levels.ts';
import { isAccepted } from '#src/rooms/graph/index.ts';
import { repairBy } from '#src/doctor/finding.ts';
import type { GraphTools } from '#src/doctor/graph-check.ts';
import { setRedactedBy } from '#src/doctor/repairs.ts';
import { type CitedRow, type EventRow, eventsById, eventsByNum } from '#src/doctor/views.ts';

interface Known {
  readonly row: EventRow;
  readonly parsed: ParsedEvent;
}

/** Whether an accepted redaction applies to its target, by the state at the redaction (room versions, "Handling redactions"). */
const applies = async ({ database, states, room, version }: GraphTools, { row, parsed }: Known, target: CitedRow): Promise<boolean> => {
  if (version.redactionRule || domainOf(parsed.pdu.sender) === domainOf(parseStoredPdu(target.json).sender)) return true;
  const { room_num: roomNum } = room;
  const root = row.state_root ?? '';
  const nums = [await states.get(roomNum, root, 'm.room.create', ''), await states.get(roomNum, root, 'm.room.power_levels', '')].filter(
    (num) => num !== undefined,
  );
  const pdus = (await database.read('levels of redaction', (reader) => eventsByNum(reader, nums))).map(({ json }) => parseStoredPdu(json));
  const levels = powerLevels(
    pdus.find((pdu) => pdu.type === 'm.room.create'),
    pdus.find((pdu) => pdu.type === 'm.room.power_levels'),
    version,
  );
  return levels.userLevel(parsed.pdu.sender) >= levels.level('redact');
};

/** Redactions in a page have marked what they redact, and what is marked was redacted. */
export const checkRedactions = async (tools: GraphTools, page: readonly Known[]): Promise<void> => {
  const { database, room, version, report } = tools;
  const targetOf = ({ row, parsed }: Known): string | undefined =>
    isAccepted(row) && row.state_root !== null ? redactsOf(parsed, version) : undefined;
  const ids = page.flatMap((known) => targetOf(known) ?? []);
  const nums = page.flatMap(({ row }) => row.redacted_by ?? []);
  const { targets, redactions } = await database.read('redactions', async (reader) => ({
    targets: new Map((await eventsById(reader, ids)).map((row) => [row.event_id, row])),
    redactions: new Map((await eventsByNum(reader, nums)).map((row) => [row.event_num, row])),
  }));
  for (const known of page) {
    const { row } = known;
    const target = targets.get(targetOf(known) ?? '');
    if (target?.room_num === room.room_num && target.redacted_by === null && (await applies(tools, known, target)))
      report({
        check: 'redactions',
        roomId: room.room_id,
        eventId: target.event_id,
        sentence: `It was redacted by ${row.event_id}, and is shown as if it was not.`,
        repair: repairBy('The event is marked as redacted.', (tx) => setRedactedBy(tx, target.event_num, row.event_num)),
      });
    if (row.redacted_by === null) continue;
    const redaction = redactions.get(row.redacted_by);
    if (redaction !== undefined && redactsOf({ pdu: parseStoredPdu(redaction.json) }, version) === row.event_id) continue;
    report({
      check: 'redactions',
      roomId: room.room_id,
      eventId: row.event_id,
      sentence: 'It is marked as redacted, but by nothing that redacts it. Its content is not shown to anybody.',
      repair: repairBy('The mark is taken away.', (tx) => setRedactedBy(tx, row.event_num, null)),
    });
  }
};
