import { redactsOf } from '#src/protocol/client-event.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import { powerLevels } from '#src/protocol/power-levels.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { Drafted } from '#src/rooms/graph/draft.ts';
import type { RoomEvent } from '#src/rooms/graph/events.ts';
import type { RoomReads, View } from '#src/rooms/graph/view.ts';

/**
 * Whether an accepted redaction applies to its target: its sender has the redact level, or is of the target's sender's server
 * (room versions 3 and later, "Handling redactions").
 */
export const redactionApplies = async (
  version: RoomVersion,
  redaction: RoomEvent,
  target: RoomEvent,
  reads: RoomReads,
  view: View,
): Promise<boolean> => {
  // Versions 1 and 2 have judged it as they judged the redaction itself.
  if (version.redactionRule) return true;
  if (domainOf(redaction.pdu.sender) === domainOf(target.pdu.sender)) return true;
  const create = await reads.state(view, 'm.room.create', '');
  const levels = powerLevels(create?.pdu, (await reads.state(view, 'm.room.power_levels', ''))?.pdu, version);
  return levels.userLevel(redaction.pdu.sender) >= levels.level('redact');
};

/** What a new event redacts: an event that is here, one that may yet come, or nothing. */
export const redactionOf = async (version: RoomVersion, event: RoomEvent, reads: RoomReads, view: View): Promise<Drafted['redacts']> => {
  const targetId = redactsOf(event, version);
  if (targetId === undefined) return undefined;
  const target = await reads.eventById(targetId);
  if (target === undefined) return { pendingId: targetId };
  return (await redactionApplies(version, event, target, reads, view)) ? { target } : undefined;
};
