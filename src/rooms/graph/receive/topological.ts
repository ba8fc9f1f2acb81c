import { authEventIds } from '#src/protocol/events.ts';
import type { Incoming } from '#src/rooms/graph/receive/incoming.ts';

/** Events after those that authorise them, the create event (which version 12 does not cite) before all; each once. Events that authorise each other in a circle (versions 1 and 2) come last, in no order. */
export const byAuthorisation = (incoming: readonly Incoming[]): Incoming[] => {
  const byId = new Map(incoming.map((each) => [each.parsed.eventId, each]));
  const waitsFor = new Map<string, number>();
  const authorises = new Map<string, string[]>();
  for (const [eventId, { parsed }] of byId) {
    const authIds = new Set(authEventIds(parsed.pdu).filter((authId) => byId.has(authId)));
    waitsFor.set(eventId, authIds.size);
    for (const authId of authIds) authorises.getOrInsertComputed(authId, () => []).push(eventId);
  }
  const isCreate = (eventId: string): boolean => byId.get(eventId)?.parsed.pdu.type === 'm.room.create';
  const ready = [...byId.keys()].filter((eventId) => waitsFor.get(eventId) === 0);
  const ordered = [...ready.filter(isCreate), ...ready.filter((eventId) => !isCreate(eventId))];
  for (const eventId of ordered) {
    for (const later of authorises.get(eventId) ?? []) {
      const left = (waitsFor.get(later) as number) - 1;
      waitsFor.set(later, left);
      if (left === 0) ordered.push(later);
    }
  }
  const circular = [...byId.keys()].filter((eventId) => waitsFor.get(eventId) !== 0);
  return [...ordered, ...circular].map((eventId) => byId.get(eventId) as Incoming);
};
