import { block, list, mapOf, optional } from '#src/platform/config/blocks.ts';
import { anything, boolean, custom, key, mxc, oneOf, path, required, string, text } from '#src/platform/config/kinds.ts';
import type { Rules } from '#src/platform/config/rules.ts';

const directoryRule = block({
  user_id: key(string('*'), 'Which users it is about; `*` and `?` are wildcards.'),
  room_id: key(string('*'), 'Which rooms it is about.'),
  alias: key(string('*'), 'Which aliases it is about.'),
  action: key(required(oneOf(['allow', 'deny'])), '`allow` or `deny`.'),
});
const ALLOW_ALL = [{ user_id: '*', room_id: '*', alias: '*', action: 'allow' }] as const;

/** `off` without quotes is the boolean false in YAML 1.1. */
const encryption = custom<'all' | 'invite' | 'off', 'off'>('one of all, invite, off', 'off', (raw) =>
  raw === false ? 'off' : raw === 'all' || raw === 'invite' || raw === 'off' ? raw : undefined,
);

const powerLevels = (preset: string) =>
  key(optional(mapOf(anything())), `For rooms with the preset ${preset}: keys of the content of \`m.room.power_levels\`.`);

const consent = optional(
  block({
    template_dir: key(required(path()), 'The folder with the documents, by language.'),
    version: key(required(text()), 'The version of the policy that users must agree to.'),
    server_notice_content: key(
      optional(
        block({
          msgtype: key(string('m.text'), 'Its message type.'),
          body: key(required(string()), 'Its text, with `%(consent_uri)s` for the link.'),
        }),
      ),
      'The notice that users get who have not agreed; needs `server_notices`.',
    ),
    send_server_notice_to_guests: key(boolean(false), 'Whether guests get it as well.'),
    block_events_error: key(string(), 'The error for users who send something before they agree; without it they may.'),
    require_at_registration: key(boolean(false), 'Whether one must agree to register.'),
    policy_name: key(string('Privacy Policy'), 'What the policy is called then.'),
  }),
);

const notices = optional(
  block({
    system_mxid_localpart: key(required(string()), 'The local part of the user who sends them.'),
    system_mxid_display_name: key(string(), 'Its name.'),
    system_mxid_avatar_url: key(mxc(), 'Its avatar.'),
    room_name: key(string('Server Notices'), 'The name of the room.'),
    room_avatar_url: key(mxc(), 'The avatar of the room.'),
    room_topic: key(string(), 'The topic of the room.'),
    auto_join: key(boolean(false), 'Whether users are joined to it without being asked.'),
  }),
);

export const roomKeys = {
  encryption_enabled_by_default_for_room_type: key(
    encryption,
    'Which new rooms are encrypted whatever their creator says: `all`, those that one must be invited to (`invite`), or none (`off`).',
    {
      acts: true,
    },
  ),
  default_power_level_content_override: key(
    block(
      {
        private_chat: powerLevels('private_chat'),
        trusted_private_chat: powerLevels('trusted_private_chat'),
        public_chat: powerLevels('public_chat'),
      },
      { strict: true },
    ),
    'Other power levels for new rooms.',
    { acts: true },
  ),
  forget_rooms_on_leave: key(boolean(false), 'Whether users forget a room as soon as they leave it.', { acts: true }),
  user_directory: key(
    block({
      enabled: key(boolean(true), 'Whether users can search for others.', { acts: true }),
      search_all_users: key(
        boolean(false),
        'Whether they find everybody whom the server knows, and not only those they share a room with or who are in public rooms.',
        { acts: true },
      ),
      prefer_local_users: key(boolean(false), 'Whether local users come first among those that fit as well.', { acts: true }),
      exclude_remote_users: key(boolean(false), 'Whether only local users are found.', { acts: true }),
      show_locked_users: key(boolean(false), 'Whether locked users are found.'),
    }),
    'Searching for users.',
  ),
  user_consent: key(consent, 'Asking users to agree to a policy.'),
  stats: key(block({ enabled: key(boolean(true), 'Whether they are kept.') }), 'Statistics about rooms and users.'),
  server_notices: key(notices, 'Messages from the server to its users.'),
  enable_room_list_search: key(boolean(true), 'Whether the list of public rooms can be read and added to.', { acts: true }),
  alias_creation_rules: key(
    list(directoryRule, ALLOW_ALL),
    'Who may give which alias to which room; the first rule that fits decides, and none means no.',
    { acts: true },
  ),
  room_list_publication_rules: key(list(directoryRule, ALLOW_ALL), 'Who may put which room on the list of public rooms; as above.', {
    acts: true,
  }),
} as const;

export const roomRules: Rules = (config, report) => {
  if (config.user_consent?.server_notice_content !== undefined && config.server_notices === undefined) {
    report.at('user_consent.server_notice_content').refuse('needs server_notices, so that there is somebody to send it');
  }
  const consentServed = config.listeners.some((listener) => listener.resources.some((resource) => resource.names.includes('consent')));
  if (consentServed && config.form_secret === undefined && config.form_secret_path === undefined) {
    report.at('form_secret').refuse('is missing; a listener has the resource consent, whose links are signed with it');
  }
};
