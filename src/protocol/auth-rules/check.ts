import type { Pdu, UnsignedPdu } from '#src/protocol/events.ts';
import type { PowerLevels } from '#src/protocol/power-levels.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';

/** What the rules read of the event that they judge. */
export type AuthPdu = Pick<UnsignedPdu, 'type' | 'state_key' | 'sender' | 'content' | 'prev_events' | 'room_id' | 'redacts'> & {
  /** Of versions 1 and 2 only. */
  readonly event_id?: string;
};

/** What the rules read of an event in the room's state. */
export interface StateEvent {
  readonly eventId: string;
  readonly pdu: Pick<Pdu, 'type' | 'state_key' | 'sender' | 'content'>;
}

/** A room state; the caller has at hand what `stateNeededFor` names. */
export type AuthState = (type: string, stateKey: string) => StateEvent | undefined;

/** What the rules say. `rule` is the number of the rule that refused on the room version's page; `reason` is a sentence for the sender. */
export type Verdict = { readonly allowed: true } | { readonly allowed: false; readonly rule: string; readonly reason: string };

export const ALLOWED: Verdict = { allowed: true };

/**
 * A refusal by the rule with this number on the page of version 12. Between its rules stand two of older versions: `4a`, aliases, and
 * `10a`, redactions.
 */
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

/** The rules of version 12 that older versions lack, with those that have them. */
const NOT_EVERYWHERE: readonly (readonly [rule: string, has: (version: RoomVersion) => boolean])[] = [
  ['2', ({ roomIds }) => roomIds === 'create-event'],
  ['5.2', ({ restricted }) => restricted],
  ['5.3.5', ({ restricted }) => restricted],
  ['5.7', ({ knock }) => knock],
  ['10.1', ({ powerLevels }) => powerLevels === 'integers'],
  ['10.2', ({ powerLevels }) => powerLevels === 'integers'],
  ['10.4', ({ privilegedCreators }) => privilegedCreators],
];

/** The rule's number on the page of the version: each part moves by the rules before it that the version lacks or has in addition. */
const numberInVersion = (rule: string, version: RoomVersion): string => {
  const parts = rule.split('.');
  const moved = parts.map((part, index) => {
    const chapter = parts.slice(0, index);
    const own = Number.parseInt(part, 10);
    const missing = NOT_EVERYWHERE.filter(([other, has]) => {
      const otherParts = other.split('.');
      const isSibling = otherParts.length === index + 1 && otherParts.slice(0, -1).join('.') === chapter.join('.');
      return isSibling && !has(version) && Number(otherParts.at(-1)) < own;
    }).length;
    const added = index > 0 ? 0 : Number(part.endsWith('a')) + Number(version.aliasesRule && own > 4);
    return own - missing + added;
  });
  return moved.join('.');
};

/** The verdict with the rule's number as the room version has it. */
export const numbered = (verdict: Verdict, version: RoomVersion): Verdict =>
  verdict.allowed || version.privilegedCreators ? verdict : { ...verdict, rule: numberInVersion(verdict.rule, version) };
