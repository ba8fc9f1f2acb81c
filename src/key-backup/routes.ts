import type { AccountAccess } from '#src/accounts/index.ts';
import { client, route, type PathSet, type Route } from '#src/platform/http/route.ts';
import { type Static, Type } from '#src/platform/schema.ts';
import { invalidParam, notFound } from '#src/protocol/errors.ts';
import type { KeyBackup, RoomsBackup, VersionInfo } from '#src/key-backup/service.ts';

const VERSIONS = ['v3', 'r0', 'unstable'];

/** The keys of a long life come back in one request. */
const MAX_BODY_BYTES = 50 * 1024 * 1024;

const AnyObject = Type.Record(Type.String(), Type.Unknown());
const Session = Type.Object({
  first_message_index: Type.Integer({ minimum: 0 }),
  forwarded_count: Type.Integer({ minimum: 0 }),
  is_verified: Type.Boolean(),
  session_data: AnyObject,
});
const Room = Type.Object({ sessions: Type.Record(Type.String(), Session) });
const Rooms = Type.Object({ rooms: Type.Record(Type.String(), Room) });
const Info = Type.Object({ algorithm: Type.String(), auth_data: AnyObject, version: Type.Optional(Type.String()) });
const OfVersion = Type.Object({ version: Type.String() });

const path = <Path extends string>(template: Path): PathSet<Path> => client(template, VERSIONS);

/** The endpoints of `/room_keys` (client-server API, "Server-side key backups"). */
export const keyBackupRoutes = ({ access, keyBackup }: { access: Pick<AccountAccess, 'user'>; keyBackup: KeyBackup }): Route[] => {
  const infoOf = ({ algorithm, auth_data: authData }: Static<typeof Info>): VersionInfo => ({
    algorithm,
    auth_data: authData as VersionInfo['auth_data'],
  });

  const versionRoutes: Route[] = [
    route({
      method: 'POST',
      path: path('/room_keys/version'),
      access: access.user,
      body: Info,
      handle: async ({ caller, body }) => ({ version: await keyBackup.createVersion(caller.userNum, infoOf(body)) }),
    }),
    route({
      method: 'GET',
      path: path('/room_keys/version'),
      access: access.user,
      handle: ({ caller }) => keyBackup.version(caller.userNum),
    }),
    route({
      method: 'GET',
      path: path('/room_keys/version/:version'),
      access: access.user,
      handle: ({ caller, params }) => keyBackup.version(caller.userNum, params.version),
    }),
    route({
      method: 'PUT',
      path: path('/room_keys/version/:version'),
      access: access.user,
      body: Info,
      handle: async ({ caller, params, body }) => {
        if (body.version !== undefined && body.version !== params.version) throw invalidParam('Version in body does not match');
        await keyBackup.updateVersion(caller.userNum, params.version, infoOf(body));
        return {};
      },
    }),
    route({
      method: 'DELETE',
      path: path('/room_keys/version/:version'),
      access: access.user,
      handle: async ({ caller, params }) => {
        await keyBackup.deleteVersion(caller.userNum, params.version);
        return {};
      },
    }),
  ];

  const { upload, keys, deleteKeys } = keyBackup;
  const [all, room, session] = [path('/room_keys/keys'), path('/room_keys/keys/:roomId'), path('/room_keys/keys/:roomId/:sessionId')];
  const common = { access: access.user, query: OfVersion };
  const uploading = { method: 'PUT', ...common, bodyLimit: MAX_BODY_BYTES } as const;

  return [
    ...versionRoutes,
    route({
      ...uploading,
      path: all,
      body: Rooms,
      handle: ({ caller, query, body }) => upload(caller.userNum, query.version, body as RoomsBackup),
    }),
    route({
      ...uploading,
      path: room,
      body: Room,
      handle: ({ caller, query, params, body }) =>
        upload(caller.userNum, query.version, { rooms: { [params.roomId]: body } } as RoomsBackup),
    }),
    route({
      ...uploading,
      path: session,
      body: Session,
      handle: ({ caller, query, params, body }) =>
        upload(caller.userNum, query.version, { rooms: { [params.roomId]: { sessions: { [params.sessionId]: body } } } } as RoomsBackup),
    }),
    route({ method: 'GET', ...common, path: all, handle: ({ caller, query }) => keys(caller.userNum, query.version, {}) }),
    route({
      method: 'GET',
      ...common,
      path: room,
      handle: async ({ caller, query, params }) =>
        (await keys(caller.userNum, query.version, params)).rooms[params.roomId] ?? { sessions: {} },
    }),
    route({
      method: 'GET',
      ...common,
      path: session,
      handle: async ({ caller, query, params }) => {
        const found = (await keys(caller.userNum, query.version, params)).rooms[params.roomId]?.sessions[params.sessionId];
        if (found === undefined) throw notFound('No room_keys found');
        return found;
      },
    }),
    route({ method: 'DELETE', ...common, path: all, handle: ({ caller, query }) => deleteKeys(caller.userNum, query.version, {}) }),
    route({
      method: 'DELETE',
      ...common,
      path: room,
      handle: ({ caller, query, params }) => deleteKeys(caller.userNum, query.version, params),
    }),
    route({
      method: 'DELETE',
      ...common,
      path: session,
      handle: ({ caller, query, params }) => deleteKeys(caller.userNum, query.version, params),
    }),
  ];
};
