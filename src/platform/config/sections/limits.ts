import { block, list, mapOf, optional } from '#src/platform/config/blocks.ts';
import { boolean, duration, integer, key, nullable, number, oneOf, path, required, size, string } from '#src/platform/config/kinds.ts';
import type { Rules } from '#src/platform/config/rules.ts';

const remoteRooms = block(
  {
    enabled: key(boolean(false), 'Whether that is done.', { acts: true }),
    complexity: key(number(1), 'The largest complexity: the number of state events divided by 500.', { acts: true }),
    complexity_error: key(
      string(
        'Your homeserver is unable to join rooms this large or complex. Please speak to your server administrator, or upgrade your instance to join this room.',
      ),
      'What users are told.',
      { acts: true },
    ),
    admins_can_join: key(boolean(false), 'Whether server administrators may join all the same.', { acts: true }),
  },
  { strict: true },
);

const purgeJob = block({
  interval: key(required(duration()), 'How often the job runs.'),
  shortest_max_lifetime: key(duration(), 'Rooms whose longest lifetime is this or shorter are left to other jobs.'),
  longest_max_lifetime: key(duration(), 'Rooms whose longest lifetime is longer than this are left to other jobs.'),
});

const retention = block({
  enabled: key(boolean(false), 'Whether old messages are deleted.'),
  default_policy: key(
    optional(
      block({
        min_lifetime: key(duration(), 'How long messages are kept at least.'),
        max_lifetime: key(duration(), 'How long messages are kept at most.'),
      }),
    ),
    'What holds for rooms that say nothing themselves.',
  ),
  allowed_lifetime_min: key(duration(), 'The shortest lifetime that a room may ask for.'),
  allowed_lifetime_max: key(duration(), 'The longest lifetime that a room may ask for.'),
  purge_jobs: key(list(purgeJob), 'When to delete, for which rooms; by default once a day for all.'),
});

export const limitKeys = {
  server_context: key(string(), 'A word about this server for the statistics.'),
  admin_contact: key(string(), 'How to reach the administrator, as a `mailto:` URI; shown to users who are blocked.'),
  hs_disabled: key(boolean(false), 'Whether to refuse everything, with `hs_disabled_message`.'),
  hs_disabled_message: key(string(''), 'Why the server refuses everything.'),
  limit_usage_by_mau: key(boolean(false), 'Whether the number of monthly active users is limited.'),
  max_mau_value: key(integer(0), 'How many monthly active users there may be.'),
  mau_stats_only: key(boolean(false), 'Whether monthly active users are counted without a limit.'),
  mau_trial_days: key(integer(0), 'How many days a new user does not count.'),
  mau_appservice_trial_days: key(mapOf(integer()), 'The same for the users of application services, by their id.'),
  mau_limit_alerting: key(boolean(true), 'Whether users are told that the limit is near.'),
  mau_limit_reserved_threepids: key(
    list(
      block({
        medium: key(required(oneOf(['email', 'msisdn'])), '`email` or `msisdn`.'),
        address: key(required(string()), 'The address or number.'),
      }),
    ),
    'Users who are never kept out by the limit.',
  ),
  limit_remote_rooms: key(remoteRooms, 'Refusing to join rooms of other servers that are too large.'),
  require_membership_for_aliases: key(boolean(true), 'Whether one must be in a room to give it an alias.', { acts: true }),
  allow_per_room_profiles: key(boolean(true), 'Whether users may have another name or avatar in one room.', { acts: true }),
  max_avatar_size: key(size(), 'How large an avatar may be, in bytes.'),
  allowed_avatar_mimetypes: key(optional(list(string())), 'Which MIME types an avatar may have.'),
  redaction_retention_period: key(nullable(duration('7d')), 'After how long the content of redacted events is erased; null for never.'),
  forgotten_room_retention_period: key(
    duration(),
    'After how long a room is deleted that all its local users have forgotten; never by default.',
  ),
  user_ips_max_age: key(nullable(duration('28d')), 'How long the addresses of users are kept; null for ever.', { acts: true }),
  request_token_inhibit_3pid_errors: key(boolean(false), 'Whether it is kept secret that an e-mail address or phone number is in use.'),
  next_link_domain_whitelist: key(
    optional(list(string())),
    'Which hosts a client may send users to after they confirmed an e-mail address; by default all.',
  ),
  templates: key(
    block({ custom_template_directory: key(path(), 'A folder with templates that replace the built-in ones of the same name.') }),
    'Pages and mails.',
  ),
  retention: key(retention, 'Deleting old messages.'),
} as const;

export const limitRules: Rules = (config, report) => {
  const { retention: rule } = config;
  const order = (path: string, low: number | undefined, high: number | undefined, message: string): void => {
    if (low !== undefined && high !== undefined && low > high) report.at(path).refuse(message);
  };
  order(
    'retention.default_policy.min_lifetime',
    rule.default_policy?.min_lifetime,
    rule.default_policy?.max_lifetime,
    'must not be longer than max_lifetime',
  );
  order(
    'retention.allowed_lifetime_min',
    rule.allowed_lifetime_min,
    rule.allowed_lifetime_max,
    'must not be longer than allowed_lifetime_max',
  );
  for (const [index, job] of rule.purge_jobs.entries()) {
    const path = `retention.purge_jobs[${String(index)}].shortest_max_lifetime`;
    order(path, job.shortest_max_lifetime, job.longest_max_lifetime, 'must not be longer than longest_max_lifetime');
  }
};
