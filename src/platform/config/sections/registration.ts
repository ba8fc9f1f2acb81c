import { block, list } from '#src/platform/config/blocks.ts';
import { regex, roomAlias, userId } from '#src/platform/config/formats.ts';
import {
  boolean,
  booleanOrWord,
  custom,
  duration,
  ignored,
  integer,
  key,
  nullable,
  oneOf,
  path,
  refused,
  required,
  string,
  url,
} from '#src/platform/config/kinds.ts';
import { notBoth, type Rules } from '#src/platform/config/rules.ts';

const MEDIA = ['email', 'msisdn'] as const;

/** `invite_3pid_guest: false` means nothing; `true` is refused. */
const invite3pidGuest = custom<false, undefined>('left out (guests are no longer invited by e-mail address)', undefined, (raw) =>
  raw === false ? raw : undefined,
);

export const registrationKeys = {
  enable_registration: key(
    booleanOrWord(false),
    'Whether people may make an account for themselves. Also set by `--enable-registration`.',
    { acts: true },
  ),
  disable_registration: key(booleanOrWord(), 'The old key, which says the opposite and wins.', { acts: true }),
  enable_registration_without_verification: key(
    booleanOrWord(false),
    'Must be true where anybody may register without e-mail address, phone number, captcha or token. Such servers are found and abused by spammers.',
    { acts: true },
  ),
  registrations_require_3pid: key(list({ ...oneOf(MEDIA) }), 'Which of `email` and `msisdn` must be given to register.'),
  allowed_local_3pids: key(
    list(
      block({
        medium: key(required(oneOf(MEDIA)), '`email` or `msisdn`.'),
        pattern: key(required(regex()), 'A regular expression that the address must match, from its beginning.'),
      }),
    ),
    'Which e-mail addresses and phone numbers accounts may have; by default all.',
  ),
  enable_3pid_lookup: key(boolean(true), 'Whether identity servers are asked who has an e-mail address or phone number.'),
  registration_requires_token: key(boolean(false), 'Whether a token from an administrator is needed to register.', { acts: true }),
  enable_registration_token_3pid_bypass: key(
    boolean(false),
    'Whether such a token replaces the e-mail address or phone number that is otherwise needed.',
  ),
  registration_shared_secret: key(
    string(),
    'Who knows this secret can register anybody, administrators too, even when registration is closed.',
    { acts: true },
  ),
  registration_shared_secret_path: key(path(), 'A file that holds `registration_shared_secret`.', { acts: true }),
  bcrypt_rounds: key(integer(12, { min: 4, max: 31 }), 'How costly it is to check a password; each step doubles it.', { acts: true }),
  account_threepid_delegates: key(
    block({
      msisdn: key(url(), 'The identity server that sends text messages.'),
      email: key(
        refused('was removed in Synapse 1.66; this server sends its e-mails itself: set up the email section and remove this key'),
        'Refused, as by Synapse.',
      ),
    }),
    'Who checks phone numbers.',
  ),
  default_identity_server: key(url(), 'The identity server that clients are told of.', { acts: true }),
  allow_guest_access: key(boolean(false), 'Whether one can use the server as a guest, without an account.', { acts: true }),
  invite_3pid_guest: key(invite3pidGuest, 'A relic; true is refused.', { acts: true }),
  auto_join_rooms: key(list(roomAlias()), 'Rooms that every new user joins.'),
  autocreate_auto_join_rooms: key(boolean(true), 'Whether these rooms are made when the first user registers.'),
  autocreate_auto_join_rooms_federated: key(boolean(true), 'Whether users of other servers may join rooms so made.'),
  autocreate_auto_join_room_preset: key(
    oneOf(['public_chat', 'private_chat', 'trusted_private_chat'], 'public_chat'),
    'The preset of rooms so made.',
  ),
  auto_join_mxid_localpart: key(string(), 'The user who makes these rooms and invites to them; needed for the private presets.'),
  auto_join_rooms_for_guests: key(boolean(true), 'Whether guests join these rooms as well.'),
  enable_set_displayname: key(boolean(true), 'Whether users may change their name.', { acts: true }),
  enable_set_avatar_url: key(boolean(true), 'Whether users may change their avatar.', { acts: true }),
  enable_3pid_changes: key(boolean(true), 'Whether users may change the e-mail addresses and phone numbers of their account.'),
  disable_msisdn_registration: key(boolean(false), 'Whether one cannot register with a phone number, unless one must.'),
  inhibit_user_in_use_error: key(
    boolean(false),
    'Whether it is kept secret that a user name is taken, until somebody tries to register it.',
    { acts: true },
  ),
  session_lifetime: key(duration(), 'How long one stays logged in at most; forever by default.', { acts: true }),
  refreshable_access_token_lifetime: key(
    nullable(duration('5m')),
    'How long access tokens live that can be refreshed; null for no such tokens.',
    { acts: true },
  ),
  refresh_token_lifetime: key(duration(), 'How long a refresh token lives when it is not used; forever by default.', { acts: true }),
  nonrefreshable_access_token_lifetime: key(duration(), 'How long access tokens live that cannot be refreshed; forever by default.', {
    acts: true,
  }),
  expire_access_token: key(ignored('see session_lifetime'), 'A relic.'),
  allow_underscore_prefixed_localpart: key(boolean(false), 'Whether user names may begin with an underscore.', { acts: true }),
  allow_underscore_prefixed_registration: key(boolean(false), 'Another name of `allow_underscore_prefixed_localpart`.', { acts: true }),
  dont_notify_new_devices_for: key(list(userId()), 'Users who are not told of their new devices.'),
  login_via_existing_session: key(
    block({
      enabled: key(boolean(false), 'Whether that is possible.'),
      require_ui_auth: key(boolean(true), 'Whether the user must authenticate once more for it.'),
      token_timeout: key(duration('5m'), 'How long the token is valid.'),
    }),
    'Making a token with which another device of the user can log in.',
    { acts: true },
  ),
  auto_accept_invites: key(
    block({
      enabled: key(boolean(false), 'Whether that is done.'),
      only_for_direct_messages: key(boolean(false), 'Whether only for direct messages.'),
      only_from_local_users: key(boolean(false), 'Whether only for invites from this server.'),
      worker_to_run_on: key(string(), 'The worker that does it.'),
    }),
    'Joining rooms for users as soon as they are invited.',
  ),
} as const;

export const registrationRules: Rules = (config, report) => {
  notBoth(report, 'registration_shared_secret', config.registration_shared_secret, config.registration_shared_secret_path);
  const open = config.disable_registration === undefined ? config.enable_registration : !config.disable_registration;
  const verified = config.registration_requires_token || config.enable_registration_captcha || config.registrations_require_3pid.length > 0;
  if (open && !verified && !config.enable_registration_without_verification) {
    report
      .at('enable_registration')
      .refuse(
        'lets anybody register without verification, which spammers use; set registration_requires_token: true (or enable_registration_captcha, or registrations_require_3pid), or enable_registration_without_verification: true if that is what you want',
      );
  }
  for (const [index, medium] of config.registrations_require_3pid.entries()) {
    const place = report.at(`registrations_require_3pid[${String(index)}]`);
    if (medium === 'email' && config.email === undefined) place.refuse('needs the email section, so that addresses can be checked');
    if (medium === 'msisdn' && config.account_threepid_delegates.msisdn === undefined)
      place.refuse('needs account_threepid_delegates.msisdn, so that phone numbers can be checked');
  }
  if (config.autocreate_auto_join_room_preset !== 'public_chat' && config.auto_join_mxid_localpart === undefined) {
    report.at('autocreate_auto_join_room_preset').refuse('a private preset needs auto_join_mxid_localpart: the user who invites');
  }
  const longest = config.session_lifetime;
  for (const name of ['refreshable_access_token_lifetime', 'refresh_token_lifetime', 'nonrefreshable_access_token_lifetime'] as const) {
    const lifetime = config[name];
    if (longest !== undefined && lifetime !== undefined && report.isSet(name) && lifetime > longest)
      report.at(name).refuse('must not be longer than session_lifetime');
  }
};
