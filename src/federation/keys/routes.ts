import { anyone, RawJson, route, type PathSet, type Route } from '#src/platform/http/route.ts';
import { Type } from '#src/platform/schema.ts';
import { canonicalJson } from '#src/protocol/canonical-json.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import type { KeyQuery, Notary } from '#src/federation/keys/notary.ts';
import type { OwnPublication } from '#src/federation/keys/publication.ts';

/** A request may ask about so many servers; others' requests for one event's signatures ask about one. */
const MAX_SERVERS = 100;
const MAX_KEYS = 100;

const key = <Path extends string>(template: Path): PathSet<Path> => ({ template, paths: [`/_matrix/key/v2${template}`] });

/** As it was signed: numbers keep their text. */
const signed = (json: JsonObject): RawJson => new RawJson(canonicalJson(json, 'any'));

const minimum = Type.Optional(Type.Integer());

/** This server's keys, and what it knows of others' (server-server API, Publishing keys and Querying keys). */
export const keyServerRoutes = ({ own, notary }: { own: OwnPublication; notary: Notary }): Route[] => {
  const query = async (queries: ReadonlyMap<string, KeyQuery>): Promise<RawJson> => signed({ server_keys: await notary.query(queries) });
  const published = () => Promise.resolve(signed(own.current()));
  return [
    route({ method: 'GET', path: key('/server'), access: anyone, handle: published }),
    // Old servers ask for one key and get all.
    route({ method: 'GET', path: key('/server/:keyId'), access: anyone, handle: published }),
    route({
      method: 'GET',
      path: key('/query/:serverName'),
      access: anyone,
      handle: ({ params }) => query(new Map([[params.serverName, new Map()]])),
    }),
    route({
      method: 'GET',
      path: key('/query/:serverName/:keyId'),
      access: anyone,
      query: Type.Object({ minimum_valid_until_ts: minimum }),
      handle: ({ params, query: { minimum_valid_until_ts: minimumTs } }) =>
        query(new Map([[params.serverName, new Map([[params.keyId, minimumTs]])]])),
    }),
    route({
      method: 'POST',
      path: key('/query'),
      access: anyone,
      body: Type.Object({
        server_keys: Type.Record(
          Type.String(),
          Type.Record(Type.String(), Type.Object({ minimum_valid_until_ts: minimum }), { maxProperties: MAX_KEYS }),
          { maxProperties: MAX_SERVERS },
        ),
      }),
      handle: ({ body }) =>
        query(
          new Map(
            Object.entries(body.server_keys).map(([serverName, wanted]) => [
              serverName,
              new Map(Object.entries(wanted).map(([keyId, { minimum_valid_until_ts: minimumTs }]) => [keyId, minimumTs])),
            ]),
          ),
        ),
    }),
  ];
};
