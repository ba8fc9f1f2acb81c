import { Type, type Static } from '#src/platform/schema.ts';
import { invalidParam } from '#src/protocol/errors.ts';
import type { EventFormat } from '#src/rooms/history/index.ts';
import { parseToken, type SyncToken } from '#src/sync/token.ts';

/** What every endpoint of the first version is asked with, as far as it is looked at. */
const page = {
  from: Type.Optional(Type.String()),
  to: Type.Optional(Type.String()),
  dir: Type.Optional(Type.Union([Type.Literal('b'), Type.Literal('f')])),
  limit: Type.Optional(Type.Integer()),
  raw: Type.Optional(Type.String()),
};

export const PageQuery = Type.Object(page);

export const EventsQuery = Type.Object({ ...page, timeout: Type.Optional(Type.Integer()), room_id: Type.Optional(Type.String()) });

export const SnapshotQuery = Type.Object({ ...page, archived: Type.Optional(Type.Boolean()) });

export interface Page {
  /** Undefined for where the streams stand now. */
  readonly from: SyncToken | undefined;
  readonly limit: number;
  /** With `raw` events are given as servers exchange them. */
  readonly format: EventFormat;
}

const DEFAULT_LIMIT = 10;
const MAX_LIMIT = 1000;

/** `END` was a token once and means the end. */
const tokenOf = (text: string | undefined): SyncToken | undefined =>
  text === undefined || text === '' || text === 'END' ? undefined : parseToken(text);

/** Throws `unknown` for a bad token, `invalidParam` for a negative limit. */
export const readPage = ({ from, to, limit = DEFAULT_LIMIT, raw }: Static<typeof PageQuery>): Page => {
  if (limit < 0) throw invalidParam("'limit' parameter must be a positive integer");
  tokenOf(to);
  return { from: tokenOf(from), limit: Math.min(limit, MAX_LIMIT), format: raw === undefined ? 'client' : 'federation' };
};
