import { block, optional, rate } from '#src/platform/config/blocks.ts';
import { integer, key, number, size } from '#src/platform/config/kinds.ts';

const federation = block(
  {
    window_size: key(integer(1000), 'The window in which requests are counted, in milliseconds.'),
    sleep_limit: key(integer(10), 'After how many requests in the window the next ones are delayed.'),
    sleep_delay: key(integer(500), 'By how many milliseconds they are delayed.'),
    reject_limit: key(integer(50), 'How many requests may wait before further ones are refused.'),
    concurrent: key(integer(3), 'How many requests of one server are worked on at the same time.'),
  },
  { strict: true },
);

export const ratelimitingKeys = {
  rc_message: key(rate(0.2, 10), 'Events that a user sends.', { acts: true }),
  rc_messages_per_second: key(number(), 'The old name of `rc_message.per_second`.', { acts: true }),
  rc_message_burst_count: key(number(), 'The old name of `rc_message.burst_count`.', { acts: true }),
  rc_registration: key(rate(0.17, 3), 'Registrations from one address.', { acts: true }),
  rc_registration_token_validity: key(rate(0.1, 5), 'Questions from one address whether a registration token is valid.', { acts: true }),
  rc_login: key(
    block({
      address: key(rate(0.17, 3), 'Logins from one address.', { acts: true }),
      account: key(rate(0.17, 3), 'Logins to one account.', { acts: true }),
      failed_attempts: key(rate(0.17, 3), 'Failed logins to one account.', { acts: true }),
    }),
    'Logins.',
  ),
  rc_admin_redaction: key(
    optional(rate(0.2, 10)),
    'Redactions by those who may redact the messages of others; without it they count as messages.',
    { acts: true },
  ),
  rc_joins: key(
    block({
      local: key(rate(0.1, 10), 'Joins of a user to rooms that this server is in.', { acts: true }),
      remote: key(rate(0.01, 10), 'Joins of a user to rooms that this server must join first.', { acts: true }),
    }),
    'Joins.',
  ),
  rc_joins_per_room: key(rate(1, 10), 'Joins to one room.', { acts: true }),
  rc_key_requests: key(rate(20, 100), 'Requests for encryption keys that one device sends to others.', { acts: true }),
  rc_3pid_validation: key(rate(0.003, 5), 'E-mails and text messages with a token, for one address of the client and one recipient.'),
  rc_invites: key(
    block({
      per_room: key(rate(0.3, 10), 'Invites to one room.', { acts: true }),
      per_user: key(rate(0.003, 5), 'Invites that one user receives.', { acts: true }),
      per_issuer: key(rate(0.3, 10), 'Invites that one user sends.', { acts: true }),
    }),
    'Invites.',
  ),
  rc_third_party_invite: key(rate(0.0025, 5), 'Invites by e-mail address or phone number that one user sends.'),
  rc_federation: key(federation, 'Requests of other servers.'),
  federation_rc_window_size: key(integer(), 'The old name of `rc_federation.window_size`.'),
  federation_rc_sleep_limit: key(integer(), 'The old name of `rc_federation.sleep_limit`.'),
  federation_rc_sleep_delay: key(integer(), 'The old name of `rc_federation.sleep_delay`.'),
  federation_rc_reject_limit: key(integer(), 'The old name of `rc_federation.reject_limit`.'),
  federation_rc_concurrent: key(integer(), 'The old name of `rc_federation.concurrent`.'),
  federation_rr_transactions_per_room_per_second: key(
    integer(50),
    'How often read receipts of one room are sent to other servers, per second.',
    { acts: true },
  ),
  rc_media_create: key(rate(10, 50), 'Media ids that one user reserves.'),
  rc_presence: key(block({ per_user: key(rate(0.1, 1), 'Changes of presence by one user.', { acts: true }) }), 'Presence.'),
  rc_delayed_event_mgmt: key(rate(1, 5), 'What one user does with delayed events (MSC4140).'),
  rc_reports: key(rate(1, 5), 'Reports by one user.', { acts: true }),
  rc_room_creation: key(rate(0.016, 10), 'Rooms that one user creates.', { acts: true }),
  rc_user_directory: key(rate(0.016, 200), 'Searches in the user directory by one user.', { acts: true }),
  remote_media_download_per_second: key(size('87K'), 'How fast one address may download the media of other servers, in bytes per second.'),
  remote_media_download_burst_count: key(size('500M'), 'How many bytes it may download before that.'),
} as const;
