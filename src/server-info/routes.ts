import type { AccountAccess } from '#src/accounts/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import { SINCE_V1, UNSTABLE_TOO, anyone, Answer, at, client, html, redirect, route } from '#src/platform/http/route.ts';
import type { Route } from '#src/platform/http/route.ts';
import { notFound } from '#src/protocol/errors.ts';
import { ROOM_VERSIONS } from '#src/protocol/room-versions.ts';
import { welcomePage } from '#src/server-info/page.ts';
import { turnCredentials } from '#src/server-info/turn.ts';
import { clientWellKnown, serverWellKnown } from '#src/server-info/well-known.ts';

const STATIC = '/_matrix/static/';

/** Versions of the specification, as clients that were written for them expect. */
const VERSIONS =
  'r0.0.1 r0.1.0 r0.2.0 r0.3.0 r0.4.0 r0.5.0 r0.6.0 r0.6.1 v1.1 v1.2 v1.3 v1.4 v1.5 v1.6 v1.7 v1.8 v1.9 v1.10 v1.11 v1.12'.split(' ');

type FeatureConfig = Pick<Config, 'encryption_enabled_by_default_for_room_type' | 'experimental_features'>;

const unstableFeatures = ({
  encryption_enabled_by_default_for_room_type: encrypted,
  experimental_features: chosen,
}: FeatureConfig): object => ({
  'io.element.e2ee_forced.public': encrypted === 'all',
  'io.element.e2ee_forced.private': encrypted !== 'off',
  'io.element.e2ee_forced.trusted_private': encrypted !== 'off',
  // Profiles with fields of the client's choice, as clients look for them before they look at versions.
  'uk.tcpip.msc4133.stable': true,
  // Which rooms one shares with somebody, at the proposal's path and at the specification's.
  'uk.half-shot.msc2666.query_mutual_rooms': true,
  'uk.half-shot.msc2666.query_mutual_rooms.stable': true,
  ...(chosen.msc3026_enabled && { 'org.matrix.msc3026.busy_presence': true }),
  // Signing in by QR code; for its successor clients ask whether sessions can be created.
  ...((chosen.msc4108_enabled || chosen.msc4108_delegation_endpoint !== undefined) && { 'org.matrix.msc4108': true }),
});

/** Which fields of their profiles users may set: all, but where the name or the avatar is not theirs to change. */
const profileFields = (config: Pick<Config, 'enable_set_displayname' | 'enable_set_avatar_url'>): object => {
  const disallowed = [...(config.enable_set_displayname ? [] : ['displayname']), ...(config.enable_set_avatar_url ? [] : ['avatar_url'])];
  return { enabled: true, ...(disallowed.length > 0 && { disallowed }) };
};

const capabilities = (
  config: Pick<
    Config,
    'default_room_version' | 'enable_set_displayname' | 'enable_set_avatar_url' | 'password_config' | 'login_via_existing_session'
  >,
): object => ({
  'm.room_versions': {
    default: config.default_room_version,
    available: Object.fromEntries([...ROOM_VERSIONS.values()].map(({ id, stable }) => [id, stable ? 'stable' : 'unstable'])),
  },
  'm.change_password': { enabled: config.password_config.enabled === true && config.password_config.localdb_enabled },
  'm.profile_fields': profileFields(config),
  'm.set_displayname': { enabled: config.enable_set_displayname },
  'm.set_avatar_url': { enabled: config.enable_set_avatar_url },
  'm.3pid_changes': { enabled: false },
  'm.get_login_token': { enabled: config.login_via_existing_session.enabled },
});

const clientApiRoutes = ({ access, clock, config }: ServerInfoDependencies): Route[] => [
  route({
    method: 'GET',
    path: at('/_matrix/client/versions'),
    access: access.optional,
    handle: () => Promise.resolve({ versions: VERSIONS, unstable_features: unstableFeatures(config) }),
  }),
  route({
    method: 'GET',
    path: client('/capabilities', UNSTABLE_TOO),
    access: access.guest,
    handle: () => Promise.resolve({ capabilities: capabilities(config) }),
  }),
  route({
    method: 'GET',
    path: client('/voip/turnServer', SINCE_V1),
    access: config.turn_allow_guests ? access.guest : access.user,
    handle: ({ caller }) => Promise.resolve(turnCredentials(config, caller.userId, clock.now())),
  }),
  ...thirdPartyRoutes(access),
];

/** Other networks, which only application services reach; without one there are none. */
const thirdPartyRoutes = (access: AccountAccess): Route[] => {
  const answer = (path: string, handle: () => Promise<unknown>): Route =>
    route({ method: 'GET', path: client(`/thirdparty/${path}`, UNSTABLE_TOO), access: access.guest, handle });
  return [
    answer('protocols', () => Promise.resolve({})),
    answer('protocol/:protocol', () => Promise.reject(notFound('Unknown protocol'))),
    ...['user', 'user/:protocol', 'location', 'location/:protocol'].map((path) => answer(path, () => Promise.resolve([]))),
  ];
};

const wellKnownRoutes = ({ config }: ServerInfoDependencies): Route[] => [
  route({
    method: 'GET',
    path: at('/.well-known/matrix/client'),
    access: anyone,
    handle: async () => {
      const content = clientWellKnown(config);
      if (content === undefined) throw notFound('.well-known not available');
      return content;
    },
  }),
  route({
    method: 'GET',
    path: at('/.well-known/matrix/server'),
    access: anyone,
    handle: async () => {
      if (!config.serve_server_wellknown) throw notFound('.well-known not available');
      return serverWellKnown(config.server_name);
    },
  }),
];

const pageRoutes = ({ config, serverVersion }: ServerInfoDependencies): Route[] => {
  const page = html(welcomePage(config.server_name), 200, {
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  });
  return [
    ...[STATIC, `${STATIC}index.html`].map((path) => route({ method: 'GET', path: at(path), access: anyone, handle: async () => page })),
    route({
      method: 'GET',
      path: at('/'),
      access: anyone,
      handle: async () => new Answer(302, '', { location: config.web_client_location ?? STATIC }),
    }),
    route({
      method: 'GET',
      path: at(STATIC.slice(0, -1)),
      access: anyone,
      handle: async () => redirect(STATIC),
    }),
    route({
      method: 'GET',
      path: at('/_synapse/admin/v1/server_version'),
      access: anyone,
      handle: () => Promise.resolve({ server_version: serverVersion }),
    }),
  ];
};

export interface ServerInfoDependencies {
  access: AccountAccess;
  clock: Clock;
  config: Config;
  /** As `/_synapse/admin/v1/server_version` tells it. */
  serverVersion: string;
}

/** What the server says about itself, to clients, to other servers and to people. */
export const serverInfoRoutes = (dependencies: ServerInfoDependencies): Route[] => [
  ...clientApiRoutes(dependencies),
  ...wellKnownRoutes(dependencies),
  ...pageRoutes(dependencies),
];
