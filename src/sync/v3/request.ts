import { Type, type Static } from '#src/platform/schema.ts';
import type { Filters, SyncFilter } from '#src/filters/index.ts';
import { invalidParam, unknown } from '#src/protocol/errors.ts';
import type { RoomReader } from '#src/rooms/history/index.ts';
import type { PresenceState } from '#src/sync/ports.ts';
import { parseToken, type SyncToken } from '#src/sync/token.ts';

export const SyncQuery = Type.Object({
  filter: Type.Optional(Type.String()),
  since: Type.Optional(Type.String()),
  from: Type.Optional(Type.String()),
  full_state: Type.Optional(Type.Boolean()),
  set_presence: Type.Optional(Type.Union([Type.Literal('online'), Type.Literal('offline'), Type.Literal('unavailable')])),
  timeout: Type.Optional(Type.Integer()),
  use_state_after: Type.Optional(Type.Boolean()),
  'org.matrix.msc4222.use_state_after': Type.Optional(Type.Boolean()),
});

/** A request for `/sync`, understood. */
export interface SyncRequest {
  readonly reader: RoomReader;
  readonly since: SyncToken | undefined;
  readonly timeoutMs: number;
  readonly fullState: boolean;
  readonly filter: SyncFilter;
  /** Under which name state after the timeline is given, if it is; else state before it. */
  readonly stateAfter: 'state_after' | 'org.matrix.msc4222.state_after' | undefined;
  readonly presence: PresenceState;
  /** Requests with the same key have the same answer. */
  readonly key: string;
}

const filterOf = async (filters: Pick<Filters, 'get' | 'parse'>, reader: RoomReader, given: string | undefined): Promise<SyncFilter> => {
  if (given === undefined) return filters.parse('{}');
  if (given.startsWith('{')) return filters.parse(given);
  const filter = await filters.get(reader.userNum, given);
  if (filter === undefined) throw invalidParam('No such filter');
  return filter;
};

/** Throws `unknown` for a bad token, `invalidParam` for an unknown filter, `notJson` or `badJson` for a bad one. */
export const readRequest = async (
  filters: Pick<Filters, 'get' | 'parse'>,
  reader: RoomReader,
  query: Static<typeof SyncQuery>,
): Promise<SyncRequest> => {
  if (query.from !== undefined) throw unknown("'from' is not a valid query parameter. Did you mean 'since'?");
  const timeoutMs = Math.max(0, query.timeout ?? 0);
  const fullState = query.full_state ?? false;
  const isUnstable = query['org.matrix.msc4222.use_state_after'] === true;
  const stateAfter = query.use_state_after === true ? 'state_after' : isUnstable ? 'org.matrix.msc4222.state_after' : undefined;
  return {
    reader,
    since: query.since === undefined ? undefined : parseToken(query.since),
    timeoutMs,
    fullState,
    filter: await filterOf(filters, reader, query.filter),
    stateAfter,
    presence: query.set_presence ?? 'online',
    key: JSON.stringify([reader.userNum, reader.deviceId, query.since, query.filter, timeoutMs, fullState, stateAfter]),
  };
};
