import type { AccountAccess } from '#src/accounts/index.ts';
import type { Filters } from '#src/filters/index.ts';
import { client, RawJson, route, type Route } from '#src/platform/http/route.ts';
import type { SyncPorts } from '#src/sync/ports.ts';
import { readRequest, SyncQuery } from '#src/sync/v3/request.ts';
import type { SyncService } from '#src/sync/v3/service.ts';

export interface SyncRouteTools {
  readonly access: Pick<AccountAccess, 'guest'>;
  readonly filters: Pick<Filters, 'get' | 'parse'>;
  readonly service: SyncService;
  readonly seen: SyncPorts['seen'];
}

/** Client-server API, "Syncing". */
export const syncRoutes = ({ access, filters, service, seen }: SyncRouteTools): Route[] => [
  route({
    method: 'GET',
    path: client('/sync', ['v3', 'r0', 'unstable']),
    access: access.guest,
    query: SyncQuery,
    handle: async ({ caller, query, request }) => {
      const understood = await readRequest(filters, caller, query);
      const done = await seen?.(caller, understood.presence);
      try {
        return new RawJson(await service.sync(understood, request.signal));
      } finally {
        done?.();
      }
    },
  }),
];
