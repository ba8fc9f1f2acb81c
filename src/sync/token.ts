import { unknown } from '#src/protocol/errors.ts';

/**
 * A place in a stream beside the events. A volatile stream begins anew with each epoch of its owner: a place of another epoch means that
 * nothing is known of where the reader was.
 */
export interface Place {
  readonly position: number;
  /** Letters and digits; undefined for a stream with rows. */
  readonly epoch: string | undefined;
}

/** The streams that a token knows beside the events, in the order in which Synapse writes them. */
export const TOKEN_PARTS = [
  'presence',
  'typing',
  'receipts',
  'accountData',
  'pushRules',
  'toDevice',
  'deviceLists',
  'groups',
  'unPartialStated',
] as const;
export type TokenPart = (typeof TOKEN_PARTS)[number];

/** What a client has seen: everything up to these places. */
export interface SyncToken {
  /** The position in the events' stream up to which everything is known, whoever wrote it. */
  readonly events: number;
  readonly places: Readonly<Partial<Record<TokenPart, Place>>>;
}

const EVENTS = /^(?:s(\d{1,15})|t\d{1,15}-(\d{1,15})|m(\d{1,15})(?:~.*)?)$/;
const PLACE = /^(?:([a-zA-Z0-9]{1,32})\.)?(\d{1,15})$/;

const placeOf = (text: string): Place | undefined => {
  const match = PLACE.exec(text);
  return match === null ? undefined : { epoch: match[1], position: Number(match[2]) };
};

/** Synapse with several writers names each writer's place behind a `~`; what those writers have beyond the common one is sent again. */
const SEVERAL_WRITERS = /^m(\d{1,15})(?:~.*)?$/;

/**
 * Reads a token: `s<events>` and nine places joined by `_`; also Synapse's own, of fewer or more parts, and with several writers
 * (`m<events>~<writer>.<n>…`). Throws `unknown` with Synapse's words for what is no token.
 */
export const parseToken = (text: string): SyncToken => {
  // Made only when it is thrown: an error takes note of its stack, which costs more than all the rest.
  const fault = (): Error => unknown('Invalid stream token');
  if (text.length > 1000) throw fault();
  const [first = '', ...rest] = text.split('_');
  const match = EVENTS.exec(first);
  if (match === null) throw fault();
  const places: Partial<Record<TokenPart, Place>> = {};
  for (const [index, part] of TOKEN_PARTS.entries()) {
    const written = rest[index];
    if (written === undefined) break;
    const several = written.startsWith('m') ? SEVERAL_WRITERS.exec(written) : null;
    const place = several === null ? placeOf(written) : placeOf(several[1] as string);
    if (place === undefined) throw fault();
    places[part] = place;
  }
  return { events: Number(match[1] ?? match[2] ?? match[3]), places };
};

const formatPlace = (place: Place | undefined): string => {
  if (place === undefined) return '0';
  return place.epoch === undefined ? String(place.position) : `${place.epoch}.${String(place.position)}`;
};

export const formatToken = (token: SyncToken): string =>
  `s${String(token.events)}_${TOKEN_PARTS.map((part) => formatPlace(token.places[part])).join('_')}`;
