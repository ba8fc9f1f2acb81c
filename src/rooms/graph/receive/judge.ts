import { authStateOf, checkAuth, checkAuthEvents, stateNeededFor } from '#src/protocol/auth-rules/index.ts';
import { createEventIdOf } from '#src/protocol/identifiers.ts';
import { eventsUnder } from '#src/rooms/graph/draft.ts';
import { isRejected, REJECTED, type RoomEvent, SOFT_FAILED } from '#src/rooms/graph/events.ts';
import type { Workbench } from '#src/rooms/graph/receive/bench.ts';
import type { Cited } from '#src/rooms/graph/receive/cited.ts';
import type { Incoming } from '#src/rooms/graph/receive/incoming.ts';
import type { Judgement } from '#src/rooms/graph/receive/judgement.ts';
import { askPolicy } from '#src/rooms/graph/receive/policy.ts';
import type { View } from '#src/rooms/graph/view.ts';

const rejected = (facts: number, fault: string): Judgement => ({ facts: facts | REJECTED, fault });

/** Where auth events do not name the create event, the room's id does. */
const createOf = async ({ room, version, reads }: Workbench): Promise<RoomEvent[]> => {
  if (version.createInAuthEvents) return [];
  const create = await reads.eventById(createEventIdOf(room.roomId));
  return create === undefined ? [] : [create];
};

/** Check 4: the event's auth events are here, accepted, the right ones, and allow it. */
export const judgeByAuthEvents = async (
  bench: Workbench,
  { parsed, facts, fault }: Incoming,
  { auth, missing }: Cited,
): Promise<Judgement> => {
  const { room, version } = bench;
  if ((facts & REJECTED) !== 0) return { facts, fault };
  if (parsed.rejection !== undefined) return rejected(facts, parsed.rejection);
  if (missing.auth.length > 0) return rejected(facts, `auth events are missing: ${missing.auth.join(', ')}`);
  const cited = auth.map((event) => ({ eventId: event.eventId, roomId: room.roomId, pdu: event.pdu, rejected: isRejected(event) }));
  const isCitedRightly = checkAuthEvents(parsed, cited, version);
  if (!isCitedRightly.allowed) return rejected(facts, `auth events, rule ${isCitedRightly.rule}: ${isCitedRightly.reason}`);
  const verdict = checkAuth(parsed.pdu, authStateOf([...(await createOf(bench)), ...auth]), version);
  return verdict.allowed ? { facts, fault } : rejected(facts, `by its auth events, rule ${verdict.rule}: ${verdict.reason}`);
};

const verdictIn = async ({ version, reads }: Workbench, { pdu }: Incoming['parsed'], view: View) =>
  checkAuth(pdu, authStateOf(await eventsUnder(reads, view, stateNeededFor(pdu, version))), version);

/** Checks 4 and 5: by its auth events, and by the state before it. What they refuse is rejected. */
export const judgeInHistory = async (bench: Workbench, incoming: Incoming, cited: Cited, before: View): Promise<Judgement> => {
  const judgement = await judgeByAuthEvents(bench, incoming, cited);
  if (isRejected(judgement)) return judgement;
  const verdict = await verdictIn(bench, incoming.parsed, before);
  return verdict.allowed ? judgement : rejected(judgement.facts, `by the state before it, rule ${verdict.rule}: ${verdict.reason}`);
};

/** Check 6 and the policy, for an event that is not rejected: by the current state, which soft-fails it, and by those who may hold it back. */
export const judgeNow = async (bench: Workbench, { parsed }: Incoming, judgement: Judgement, current: View): Promise<Judgement> => {
  if (isRejected(judgement)) return judgement;
  const verdict = await verdictIn(bench, parsed, current);
  const objection = verdict.allowed
    ? await askPolicy(bench.tools.eventPolicy, bench.room, parsed)
    : { facts: SOFT_FAILED, fault: `by the current state, rule ${verdict.rule}: ${verdict.reason}` };
  return objection === undefined ? judgement : { ...objection, facts: judgement.facts | objection.facts };
};
