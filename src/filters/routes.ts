import { Type } from '#src/platform/schema.ts';
import type { AccountAccess } from '#src/accounts/index.ts';
import { UNSTABLE_TOO, client, RawJson, route } from '#src/platform/http/route.ts';
import type { Route } from '#src/platform/http/route.ts';
import { forbidden, invalidParam, notFound } from '#src/protocol/errors.ts';
import type { JsonValue } from '#src/protocol/json.ts';
import type { Filters } from '#src/filters/service.ts';

/** More than a filter may have, to leave room for white space. */
const MAX_BODY_BYTES = 131_072;

/** Storing filters (client-server API, "Filtering"). */
export const filterRoutes = ({ access, filters }: { access: AccountAccess; filters: Filters }): Route[] => [
  route({
    method: 'POST',
    path: client('/user/:userId/filter', UNSTABLE_TOO),
    access: access.user,
    body: Type.Record(Type.String(), Type.Unknown()),
    bodyLimit: MAX_BODY_BYTES,
    handle: async ({ caller, params, body }) => {
      if (params.userId !== caller.userId) throw forbidden('Cannot create filters for other users');
      return { filter_id: await filters.add(caller.userNum, body as JsonValue) };
    },
  }),
  route({
    method: 'GET',
    path: client('/user/:userId/filter/:filterId', UNSTABLE_TOO),
    access: access.user,
    handle: async ({ caller, params }) => {
      if (params.userId !== caller.userId) throw forbidden('Cannot get filters for other users');
      if (!/^-?\d+$/.test(params.filterId)) throw invalidParam('Invalid filter_id');
      const definition = await filters.definition(caller.userNum, params.filterId);
      if (definition === undefined) throw notFound('No such filter');
      return new RawJson(definition);
    },
  }),
];
