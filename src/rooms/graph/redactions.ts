import { domainOf } from '#src/protocol/identifiers.ts';
import { powerLevels } from '#src/protocol/power-levels.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { Drafted } from '#src/rooms/graph/draft.ts';
import type { RoomEvent } from '#src/rooms/graph/events.ts';
import type { RoomReads, View } from '#src/rooms/graph/view.ts';

/** The id of the event that a redaction is about, from where its room version has it. */
const redactedIdOf = (event: RoomEvent, version: RoomVersion): string | undefined => {
  if (event.pdu.type !== 'm.room.redaction') return undefined;
  const redacts = version.redactsIn === 'content' ? event.pdu.content.redacts : event.pdu.redacts;
  return typeof redacts === 'string' ? redacts : undefined;
};

/**
 * Whether a redaction applies to its target (room versions 3 and later, "Handling redactions"): its sender has the redact level, or is of
 * the target's sender's server.
 */
export const redactionApplies = async (
  version: RoomVersion,
  redaction: RoomEvent,
  target: RoomEvent,
  reads: RoomReads,
  view: View,
): Promise<boolean> => {
  if (domainOf(redaction.pdu.sender) === domainOf(target.pdu.sender)) return true;
  const create = await reads.state(view, 'm.room.create', '');
  const levels = powerLevels(create?.pdu, (await reads.state(view, 'm.room.power_levels', ''))?.pdu, version);
  return levels.userLevel(redaction.pdu.sender) >= levels.level('redact');
};

/** What a new event redacts: an event that is here, one that may yet come, or nothing. */
export const redactionOf = async (version: RoomVersion, event: RoomEvent, reads: RoomReads, view: View): Promise<Drafted['redacts']> => {
  const targetId = redactedIdOf(event, version);
  if (targetId === undefined) return undefined;
  const target = await reads.eventById(targetId);
  if (target === undefined) return { pendingId: targetId };
  return (await redactionApplies(version, event, target, reads, view)) ? { target } : undefined;
};
