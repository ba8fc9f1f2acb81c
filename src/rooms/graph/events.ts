import type { Pdu } from '#src/protocol/events.ts';
import type { NodeId } from '#src/rooms/graph/state-tree/nodes.ts';

/** What became of an event, as bits of `facts`; each can be judged again. */
export const REJECTED = 1;
export const SOFT_FAILED = 2;
/** An event policy asked to hold it back. */
export const HELD = 4;
/** Its content hash did not match, so that only its redacted form is kept. */
export const REDUCED = 8;
/** It is rejected because no key was at hand to check its signatures with. */
export const UNVERIFIED = 16;

/** This server has let its sender, a user of another, in or out, and so passes it on to the servers in the room (server-server API, `send_join`). */
export const LET_IN = 32;

/** What it follows was not all here when it came: between it and the timeline before it something may be missing. */
export const AFTER_GAP = 64;

/** Made by servers to tie up the ends of a room; says nothing to people. */
export const DUMMY_EVENT = 'org.matrix.dummy_event';

/** Types that clients are never shown, and that nobody has to read: also what a server claimed of aliases before they had rights, which nobody can redact. */
export const NEVER_SHOWN: ReadonlySet<string> = new Set([DUMMY_EVENT, 'm.room.aliases']);

/** The facts of which each alone keeps an event from counting. */
export const NOT_ACCEPTED = REJECTED | SOFT_FAILED | HELD;

/** Whether an event counts: it is shown to those who may see it, and others may follow it. */
export const isAccepted = ({ facts }: { readonly facts: number }): boolean => (facts & NOT_ACCEPTED) === 0;

/** Whether the timeline before an event may lack something. */
export const isAfterGap = ({ facts }: { readonly facts: number }): boolean => (facts & AFTER_GAP) !== 0;

export const isRejected = ({ facts }: { readonly facts: number }): boolean => (facts & REJECTED) !== 0;

/** An event of a room as this server holds it. Never changed in place: what is learnt later (a redaction) makes a new object. */
export interface RoomEvent {
  /** The surrogate number by which tables and state trees name the event. */
  readonly num: number;
  readonly eventId: string;
  readonly roomNum: number;
  readonly typeNum: number;
  readonly senderNum: number;
  readonly stateKeyNum: number | undefined;
  /** The PDU as it was signed, without `unsigned`. */
  readonly pdu: Pdu;
  /** The PDU as stored and sent to other servers: canonical JSON. */
  readonly json: string;
  readonly depth: number;
  /** Live (above 0) or backfill (below 0) position in the `events` stream; undefined for what is not in the timeline. */
  readonly position: number | undefined;
  /** Which writer's position it is, by number. */
  readonly writerNum: number;
  /** The state after the event; undefined for outliers. */
  readonly stateRoot: NodeId | undefined;
  /** `REJECTED`, `SOFT_FAILED`, `HELD`, `REDUCED`, `UNVERIFIED`, `LET_IN`, `AFTER_GAP`: the sum of those that apply. */
  readonly facts: number;
  readonly fault: string | undefined;
  /** The number of the redaction that applies to it. */
  readonly redactedBy: number | undefined;
}

/** A room's fixed facts. */
export interface RoomInfo {
  readonly num: number;
  readonly roomId: string;
  readonly version: string;
}
