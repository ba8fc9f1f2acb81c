import { block } from '#src/platform/config/blocks.ts';
import { boolean, custom, duration, ignored, integer, key, refused, string, url } from '#src/platform/config/kinds.ts';
import type { Rules } from '#src/platform/config/rules.ts';

const off = (text: string) => key(boolean(false), text);
const acting = (text: string) => key(boolean(false), text, { acts: true });
const on = (text: string) => key(boolean(true), text);

/** `off` without quotes is the boolean false in YAML 1.1. */
const qrLogin = custom<'off' | 'open' | 'authenticated', 'off'>('one of off, open, authenticated', 'off', (raw) =>
  raw === false ? 'off' : raw === 'off' || raw === 'open' || raw === 'authenticated' ? raw : undefined,
);

const features = {
  msc1763_enabled: off('An endpoint for how long messages are kept.'),
  msc1767_enabled: off('The room version with extensible events.'),
  msc2285_enabled: key(ignored('private read receipts are part of Matrix'), 'A relic.'),
  msc2409_to_device_messages_enabled: off('Messages to devices for application services.'),
  msc2654_enabled: off('Unread counts in sync.'),
  msc2666_enabled: key(ignored('finding mutual rooms is always possible'), 'A relic.'),
  msc2716_enabled: off('Importing history in batches.'),
  msc2815_enabled: off('Letting moderators read redacted events.'),
  msc3026_enabled: acting('The presence "busy".'),
  msc3202_device_masquerading: off('Application services acting as a device.'),
  msc3202_transaction_extensions: off('What application services need for encryption.'),
  msc3244_enabled: on('Telling clients which room version is good for what.'),
  msc3266_enabled: off('Summaries of rooms.'),
  msc3381_polls_enabled: off('Push rules for polls.'),
  msc3391_enabled: off('Deleting account data.'),
  msc3575_enabled: on('Simplified sliding sync.'),
  msc3664_enabled: off('Push rules that look at related events.'),
  msc3706_enabled: off('Faster joins to rooms, the answering side.'),
  msc3720_enabled: off('Asking for the status of accounts.'),
  msc3773_enabled: off('Notifications by thread, under their unstable name.'),
  msc3814_enabled: acting('Dehydrated devices.'),
  msc3848_enabled: off('Errors that say more exactly why something cannot be sent.'),
  msc3852_enabled: off('The last user agent of a device.'),
  msc3861: key(refused('was replaced; use matrix_authentication_service'), 'Refused, as by Synapse.'),
  msc3866: key(
    block(
      {
        enabled: off('Whether accounts can be approved.'),
        require_approval_for_new_accounts: off('Whether new accounts must be approved.'),
      },
      { strict: true },
    ),
    'Approval of new accounts by administrators.',
  ),
  msc3874_enabled: off('Filtering messages by relation.'),
  msc3881_enabled: acting('Switching the pushers of other devices.'),
  msc3882_enabled: off('Login tokens for other devices; now `login_via_existing_session`.'),
  msc3882_ui_auth: on('Whether the user must authenticate once more for it.'),
  msc3882_token_timeout: key(duration('5m'), 'How long such a token is valid.'),
  msc3886_endpoint: key(string(), 'Where clients meet for QR code login, in an abandoned draft.'),
  msc3890_enabled: off('Silencing the notifications of other devices; needs `msc3391_enabled`.'),
  msc3912_enabled: off('Redacting related events as well.'),
  msc3925_inhibit_edit: off('Not replacing the content of edited events.'),
  msc3983_appservice_otk_claims: off('Asking application services for one-time keys.'),
  msc3984_appservice_key_query: off('Asking application services for device keys.'),
  msc4028_push_encrypted_events: off('Push notifications for all encrypted events.'),
  msc4069_profile_inhibit_propagation: off('Changing a profile without telling the rooms.'),
  msc4076_enabled: acting('Pushers without a badge count.'),
  msc4108_enabled: acting('Login by QR code; needs `matrix_authentication_service`.'),
  msc4108_delegation_endpoint: key(url(), 'Who else looks after login by QR code.', { acts: true }),
  msc4133_enabled: off('Further fields in profiles, under their unstable name.'),
  msc4140_max_delayed_events_per_user: key(integer(100), 'How many delayed events a user may have.'),
  msc4143_enabled: off('Telling clients of the transports for group calls.'),
  msc4155_enabled: off('Filtering invites.'),
  msc4169_enabled: off('Redacting through the endpoint for sending.'),
  msc4210_enabled: off('Push rules without the old kinds of mention.'),
  msc4222_enabled: off('The state after the timeline in sync.'),
  msc4235_enabled: off('Servers to ask in the hierarchy of spaces.'),
  msc4242_enabled: off('The room version with a graph of state events.'),
  msc4263_limit_key_queries_to_users_who_share_rooms: off('Device keys only for those who share a room.'),
  msc4267_enabled: off('Forgetting rooms when leaving them.'),
  msc4277_enabled: off('Endpoints for reports that reveal nothing.'),
  msc4293_enabled: off('Redacting all messages of those who are kicked or banned.'),
  msc4306_enabled: off('Subscribing to threads.'),
  msc4354_enabled: off('Sticky events.'),
  msc4370_enabled: off('Telling other servers the extremities of a room.'),
  msc4388_mode: key(qrLogin, 'The channel for signing in by QR code; other than `off` it needs `matrix_authentication_service`.', {
    acts: true,
  }),
  msc4446_enabled: off('Moving the read marker back.'),
  msc4450_enabled: off('Choosing the identity provider when confirming a sensitive action.'),
  msc4452_enabled: off('Telling clients whether links are previewed.'),
  msc4491_enabled: off('A reason in the invites of new rooms.'),
  faster_joins: on('Joining rooms before their whole state is known.'),
  groups_enabled: key(ignored('groups were removed from Matrix in favour of spaces'), 'A relic.'),
} as const;

export const experimentalKeys = {
  experimental_features: key(block(features), 'What is not yet, or was never, part of Matrix.'),
  experimental: key(
    block({ faster_joins: on('Joining rooms before their whole state is known.') }),
    'Another name of `experimental_features`, from the notes on an upgrade.',
  ),
  groups_enabled: key(ignored('groups were removed from Matrix in favour of spaces'), 'A relic.'),
} as const;

export const experimentalRules: Rules = (config, report) => {
  const chosen = config.experimental_features;
  const needsService = [
    ['msc4108_enabled', chosen.msc4108_enabled],
    ['msc4108_delegation_endpoint', chosen.msc4108_delegation_endpoint !== undefined],
    ['msc4388_mode', chosen.msc4388_mode !== 'off'],
  ] as const;
  for (const [name, set] of needsService) {
    if (set && !config.matrix_authentication_service.enabled)
      report.at(`experimental_features.${name}`).refuse('needs matrix_authentication_service.enabled: true');
  }
  if (chosen.msc4108_enabled && chosen.msc4108_delegation_endpoint !== undefined) {
    report.at('experimental_features.msc4108_enabled').refuse('cannot be set together with msc4108_delegation_endpoint; keep one of them');
  }
  if (chosen.msc3890_enabled && !chosen.msc3391_enabled)
    report.at('experimental_features.msc3890_enabled').refuse('needs msc3391_enabled: true');
};
