import type { RoomEvent, RoomInfo } from '#src/rooms/graph/events.ts';
import { HELD, SOFT_FAILED } from '#src/rooms/graph/events.ts';
import type { Judgement } from '#src/rooms/graph/receive/judgement.ts';

/** What a policy wants done with an event that the rules allow. */
export type PolicyVerdict =
  | { readonly verdict: 'accept' }
  /** `hold`: until it is judged again and released. `soft-fail`: for good. Both hide it from clients; the reason is for the operator. */
  | { readonly verdict: 'hold' | 'soft-fail'; readonly reason: string };

/** Somebody who has a word on events from other servers: a module, a policy of the room. The room waits for the answer. */
export interface EventPolicy {
  judge(room: RoomInfo, event: Pick<RoomEvent, 'eventId' | 'pdu'>): Promise<PolicyVerdict>;
}

/** Lets everything pass. */
export const NO_POLICY: EventPolicy = { judge: () => Promise.resolve({ verdict: 'accept' }) };

/** What the policy makes of an event, or undefined when it has nothing against it. */
export const askPolicy = async (
  policy: EventPolicy,
  room: RoomInfo,
  event: Pick<RoomEvent, 'eventId' | 'pdu'>,
): Promise<Judgement | undefined> => {
  const answer = await policy.judge(room, event);
  if (answer.verdict === 'accept') return undefined;
  return { facts: answer.verdict === 'hold' ? HELD : SOFT_FAILED, fault: `by policy: ${answer.reason}` };
};
