import type { Pdu, UnsignedPdu } from '#src/protocol/events.ts';
import type { PowerLevels } from '#src/protocol/power-levels.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';

/** What the rules read of the event that they judge. */
export type AuthPdu = Pick<UnsignedPdu, 'type' | 'state_key' | 'sender' | 'content' | 'prev_events' | 'room_id'>;

/** What the rules read of an event in the room's state. */
export interface StateEvent {
  readonly eventId: string;
  readonly pdu: Pick<Pdu, 'type' | 'state_key' | 'sender' | 'content'>;
}

/** A room state; the caller has at hand what `stateNeededFor` names. */
export type AuthState = (type: string, stateKey: string) => StateEvent | undefined;

/**
 * What the rules say. `rule` is the number of the rule that refused, as in the list of the room version's page; for versions
 * before 10 it is the number on the page of version 10. `reason` is a sentence for the sender.
 */
export type Verdict = { readonly allowed: true } | { readonly allowed: false; readonly rule: string; readonly reason: string };

export const ALLOWED: Verdict = { allowed: true };

/** A refusal by the rule with this number on the page of version 12. */
export const rejected = (rule: string, reason: string): Verdict => ({ allowed: false, rule, reason });

/** What all rules for an event share. */
export interface Check {
  readonly pdu: AuthPdu;
  readonly state: AuthState;
  readonly version: RoomVersion;
  readonly create: StateEvent;
  readonly levels: PowerLevels;
  /** The user's `membership` in the state; `undefined` for one who has never been there. */
  readonly membership: (userId: string) => unknown;
}

/** Judges, or leaves the event to the rules that follow. */
export type Rule = (check: Check) => Verdict | undefined;

/**
 * The rule's number on the page of version 11 and before, where rule 2 (the room id) and rule 10.4 (creators in `users`) are missing
 * and those after them move up.
 */
const numberBefore12 = (rule: string): string => {
  const [chapter, item, ...rest] = rule.split('.').map(Number) as [number, number?, ...number[]];
  if (chapter < 3) return rule;
  const moved = chapter === 10 && item !== undefined && item > 4 ? item - 1 : item;
  return [chapter - 1, moved, ...rest].filter((part) => part !== undefined).join('.');
};

/** The verdict with the rule's number as the room version has it. */
export const numbered = (verdict: Verdict, version: RoomVersion): Verdict =>
  verdict.allowed || version.privilegedCreators ? verdict : { ...verdict, rule: numberBefore12(verdict.rule) };
