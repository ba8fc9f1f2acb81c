import { block, list, mapOf, optional } from '#src/platform/config/blocks.ts';
import { ipRange, roomId, serverName } from '#src/platform/config/formats.ts';
import {
  anything,
  boolean,
  custom,
  duration,
  ignored,
  integer,
  key,
  path,
  required,
  string,
  text,
  url,
} from '#src/platform/config/kinds.ts';
import type { Rules } from '#src/platform/config/rules.ts';

const PRIVATE_RANGES =
  '127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 192.0.0.0/24 169.254.0.0/16 192.88.99.0/24 198.18.0.0/15 192.0.2.0/24 '.concat(
    '198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 ::1/128 fe80::/10 fc00::/7 2001:db8::/32 ff00::/8 fec0::/10',
  );

/** Versions that have an entry in the specification. */
const ROOM_VERSIONS = Array.from({ length: 12 }, (_, index) => String(index + 1));

const threeOf = (rule: string, unset: readonly number[] | undefined, parse: (raw: unknown) => number | undefined) =>
  custom<readonly number[], readonly number[] | undefined>(rule, unset, (raw) => {
    if (!Array.isArray(raw) || raw.length !== 3) return undefined;
    const parsed = raw.map(parse).filter((value) => value !== undefined);
    return parsed.length === 3 ? parsed : undefined;
  });

const presence = block({
  enabled: key(
    custom<boolean | 'untracked', boolean | undefined>('true, false or untracked', undefined, (raw) =>
      typeof raw === 'boolean' || raw === 'untracked' ? raw : undefined,
    ),
    'Whether users see who is online. `untracked`: presence is passed on, but not derived from activity. Without it, `use_presence` decides; else true.',
    { acts: true },
  ),
  presence_router: key(
    optional(
      block({
        module: key(string(), 'The Python class of a presence router.'),
        config: key(mapOf(anything()), 'Settings of the router.'),
      }),
    ),
    'A custom presence router of the old kind.',
  ),
  include_offline_users_on_sync: key(boolean(false), 'Whether a first sync also lists users who are offline.', { acts: true }),
  last_active_granularity: key(duration('1m'), 'How coarse "last active" is.', { acts: true }),
  sync_online_timeout: key(duration('30s'), 'How long after its last sync a client counts as offline.', { acts: true }),
  idle_timeout: key(duration('5m'), 'How long without activity until a user counts as unavailable.', { acts: true }),
});

export const serverKeys = {
  server_name: key(
    required({ ...serverName(), unset: 'localhost', shown: 'localhost' }),
    'The domain in every local user id, room alias and event. It cannot be changed later.',
    { acts: true },
  ),
  pid_file: key(path(), 'Where a daemon writes its process id.'),
  soft_file_limit: key(integer(0), 'How many files may be open at once; 0 means as many as the system allows.'),
  daemonize: key(boolean(false), 'Whether to go to the background. Myelin stays in the foreground and leaves this to the service manager.'),
  print_pidfile: key(boolean(false), 'Whether to print the path of the pid file at start.'),
  user_agent_suffix: key(string(), 'Text to add to the User-Agent of outgoing requests.', { acts: true }),
  use_frozen_dicts: key(boolean(false), 'A debugging aid of Synapse: make the contents of events immutable.'),
  serve_server_wellknown: key(boolean(false), 'Whether to answer `/.well-known/matrix/server`, pointing to port 443 of the server name.', {
    acts: true,
  }),
  public_baseurl: key(
    url(),
    'The URL under which clients reach this server. Without it `https://<server_name>/` is assumed; setting it also turns on `/.well-known/matrix/client`.',
    { acts: true },
  ),
  extra_well_known_client_content: key(mapOf(anything()), 'Further keys for `/.well-known/matrix/client`.', { acts: true }),
  presence: key(presence, 'Who is online.'),
  use_presence: key(boolean(true), 'The old name of `presence.enabled`, which wins.', { acts: true }),
  web_client_location: key(url(), 'Where `GET /` redirects to, usually a web client.', { acts: true }),
  require_auth_for_profile_requests: key(boolean(false), 'Whether reading a profile needs an access token.', { acts: true }),
  limit_profile_requests_to_users_who_share_rooms: key(
    boolean(false),
    'Whether one must share a room with a user to read the profile; needs `require_auth_for_profile_requests`.',
  ),
  include_profile_data_on_invite: key(
    boolean(true),
    "Whether invites carry the inviter's choice of name and avatar for the invited user.",
    { acts: true },
  ),
  allow_public_rooms_without_auth: key(boolean(false), 'Whether the list of public rooms can be read without an account.'),
  allow_public_rooms_over_federation: key(boolean(false), 'Whether other servers may read the list of public rooms.', { acts: true }),
  restrict_public_rooms_to_local_users: key(boolean(false), 'The old way to switch both of the above off.'),
  default_room_version: key(
    {
      ...text('11'),
      rule: `a room version: ${ROOM_VERSIONS.join(', ')}`,
      read: (raw, place) => {
        const version = typeof raw === 'number' ? String(raw) : raw;
        const known = ROOM_VERSIONS.find((candidate) => candidate === version);
        if (known === undefined) place.fault(raw, `a room version: ${ROOM_VERSIONS.join(', ')}`);
        return known ?? '11';
      },
    },
    'The version of new rooms, unless their creator asks for another.',
    { acts: true },
  ),
  gc_thresholds: key(
    threeOf('a list of three whole numbers', undefined, (raw) => (Number.isInteger(raw) ? Number(raw) : undefined)),
    "Thresholds of Python's garbage collector; without meaning here.",
  ),
  gc_min_interval: key(
    optional(list(duration())),
    "Least time between runs of Python's garbage collector, for its three generations; without meaning here.",
  ),
  filter_timeline_limit: key(
    integer(100, { min: -1 }),
    'The most events a room has in one sync, whatever the filter says; -1 for no limit.',
    { acts: true },
  ),
  block_non_admin_invites: key(boolean(false), 'Whether only server administrators may invite.', { acts: true }),
  enable_search: key(boolean(true), 'Whether messages can be searched.', { acts: true }),
  ip_range_blacklist: key(
    list(ipRange(), PRIVATE_RANGES.split(' ')),
    'Addresses that this server never connects to for users (federation, push, previews). `0.0.0.0` and `::` are always among them.',
    { acts: true },
  ),
  ip_range_whitelist: key(list(ipRange()), 'Exceptions from `ip_range_blacklist`.', { acts: true }),
  federation_ip_range_blacklist: key(
    optional(list(ipRange())),
    'An older key: if set, it is used for federation instead of `ip_range_blacklist` and its exceptions.',
    { acts: true },
  ),
  replication_torture_level: key(integer(), 'Milliseconds by which Synapse delays replication, for testing.'),
  enable_ephemeral_messages: key(boolean(false), 'Whether messages can ask to be deleted after a time (MSC2228).'),
  use_account_validity_in_account_status: key(
    boolean(false),
    'Whether expired accounts show as deactivated in the account status (MSC3720).',
  ),
  cleanup_extremities_with_dummy_events: key(
    boolean(true),
    'Whether to tie many loose ends of a room together with an event that nobody sees.',
    { acts: true },
  ),
  dummy_events_threshold: key(integer(10), 'With more loose ends than this that is done in a room.', { acts: true }),
  delete_stale_devices_after: key(duration(), 'How long a device may go unused before it is deleted; never by default.'),
  http_proxy: key(url(), 'The proxy for outgoing HTTP requests; else the environment variable of that name.', { acts: true }),
  https_proxy: key(url(), 'The proxy for outgoing HTTPS requests; else the environment variable of that name.', { acts: true }),
  no_proxy_hosts: key(list(string()), 'Hosts, addresses and ranges that are reached without a proxy.', { acts: true }),
  max_event_delay_duration: key(
    duration(),
    'The longest delay that clients may ask for when they send delayed events (MSC4140); none are possible by default.',
  ),
  user_types: key(
    block({
      default_user_type: key(string(), 'The type of new users.'),
      extra_user_types: key(list(string()), 'Types that may be given beside the known ones.'),
    }),
    'Types of users.',
  ),
  exclude_rooms_from_sync: key(list(roomId()), 'Rooms that no client sees in sync.', { acts: true }),
  exclude_rooms_from_presence: key(list(roomId()), 'Rooms whose members do not see each other online because of it.', { acts: true }),
  web_client: key(ignored('Synapse brings no web client; see web_client_location'), 'A relic.'),
  enable_group_creation: key(ignored('groups were removed from Matrix in favour of spaces'), 'A relic.'),
  group_creation_prefix: key(ignored('groups were removed from Matrix in favour of spaces'), 'A relic.'),
} as const;

export const serverRules: Rules = (config, report) => {
  const base = config.public_baseurl;
  if (base !== undefined && /[?#]/u.test(base)) report.at('public_baseurl').refuse('must have neither a query (?…) nor a fragment (#…)');
  for (const name of ['m.homeserver', 'm.identity_server']) {
    if (name in config.extra_well_known_client_content) {
      report
        .at(`extra_well_known_client_content`)
        .refuse(`must not contain ${name}; set ${name === 'm.homeserver' ? 'public_baseurl' : 'default_identity_server'} instead`);
    }
  }
  const { last_active_granularity: granularity, sync_online_timeout: online, idle_timeout: idle } = config.presence;
  if (granularity <= 0) report.at('presence.last_active_granularity').refuse('must be longer than nothing');
  if (online <= 0) report.at('presence.sync_online_timeout').refuse('must be longer than nothing');
  if (idle <= granularity) report.at('presence.idle_timeout').refuse('must be longer than last_active_granularity');
  if (config.restrict_public_rooms_to_local_users) {
    for (const name of ['allow_public_rooms_without_auth', 'allow_public_rooms_over_federation'] as const) {
      if (config[name]) report.at('restrict_public_rooms_to_local_users').refuse(`cannot be true while ${name} is; remove one of them`);
    }
  }
};
