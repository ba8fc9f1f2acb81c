import type { AccountAccess } from '#src/accounts/index.ts';
import { client, RawJson, route, type Route, SINCE_V1 } from '#src/platform/http/route.ts';
import { unknown } from '#src/protocol/errors.ts';
import type { SyncPorts } from '#src/sync/ports.ts';
import type { EventStream } from '#src/sync/v1/event-stream.ts';
import { EventsQuery, PageQuery, readPage, SnapshotQuery } from '#src/sync/v1/request.ts';
import type { Snapshots } from '#src/sync/v1/snapshots.ts';

export interface FirstVersionTools {
  readonly access: Pick<AccountAccess, 'guest' | 'user'>;
  readonly eventStream: EventStream;
  readonly snapshots: Snapshots;
  readonly seen: SyncPorts['seen'];
}

const DEFAULT_TIMEOUT_MS = 30_000;

/** What was before `/sync`, and is still how one looks into a room without joining it (client-server API, "Room previews"). */
export const firstVersionRoutes = ({ access, eventStream, snapshots, seen }: FirstVersionTools): Route[] => [
  route({
    method: 'GET',
    path: client('/events', SINCE_V1),
    access: access.guest,
    query: EventsQuery,
    handle: async ({ caller, query, request }) => {
      const roomId = query.room_id === '' ? undefined : query.room_id;
      if (caller.isGuest && roomId === undefined) throw unknown('Guest users must specify room_id param');
      const timeoutMs = Math.max(0, query.timeout ?? DEFAULT_TIMEOUT_MS);
      const page = readPage(query);
      const done = caller.isGuest ? undefined : await seen?.(caller, 'online');
      try {
        return new RawJson(await eventStream.read({ ...page, reader: caller, roomId, timeoutMs }, request.signal));
      } finally {
        done?.();
      }
    },
  }),
  route({
    method: 'GET',
    path: client('/initialSync', SINCE_V1),
    access: access.user,
    query: SnapshotQuery,
    handle: async ({ caller, query }) => new RawJson(await snapshots.ofAllRooms(caller, readPage(query), query.archived ?? false)),
  }),
  route({
    method: 'GET',
    path: client('/rooms/:roomId/initialSync', SINCE_V1),
    access: access.guest,
    query: PageQuery,
    handle: async ({ caller, params, query }) => new RawJson(await snapshots.ofRoom(caller, params.roomId, readPage(query))),
  }),
];
