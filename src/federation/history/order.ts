import { authEventIds, prevEventIds } from '#src/protocol/events.ts';
import { clampedInteger } from '#src/protocol/json.ts';
import type { CheckedEvent } from '#src/rooms/graph/index.ts';

/** Events after those that they follow and that authorise them, whatever they claim of their depth. */
export const inOrderOfHistory = (events: readonly CheckedEvent[]): CheckedEvent[] => {
  const byId = new Map(events.map((event) => [event.parsed.eventId, event]));
  const ordered = new Set<CheckedEvent>();
  const visit = (event: CheckedEvent, above: ReadonlySet<string>): void => {
    const { pdu, eventId } = event.parsed;
    if (ordered.has(event) || above.has(eventId)) return;
    const path = new Set(above).add(eventId);
    for (const cited of [...prevEventIds(pdu), ...authEventIds(pdu)]) {
      const before = byId.get(cited);
      if (before !== undefined) visit(before, path);
    }
    ordered.add(event);
  };
  for (const event of events.toSorted((a, b) => clampedInteger(a.parsed.pdu.depth) - clampedInteger(b.parsed.pdu.depth)))
    visit(event, new Set());
  return [...ordered];
};

/** Those of the events by which one comes from some of them to what they follow; what leads nowhere has not been asked for. */
export const leadingTo = (events: readonly CheckedEvent[], eventIds: readonly string[]): CheckedEvent[] => {
  const byId = new Map(events.map((event) => [event.parsed.eventId, event]));
  const found = new Map<string, CheckedEvent>();
  const ahead = [...eventIds];
  for (let eventId = ahead.pop(); eventId !== undefined; eventId = ahead.pop()) {
    const event = byId.get(eventId);
    if (event === undefined || found.has(eventId)) continue;
    found.set(eventId, event);
    ahead.push(...prevEventIds(event.parsed.pdu));
  }
  return [...found.values()];
};
