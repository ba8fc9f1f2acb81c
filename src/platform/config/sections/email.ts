import { block, optional } from '#src/platform/config/blocks.ts';
import { boolean, custom, duration, ignored, integer, key, path, string, url } from '#src/platform/config/kinds.ts';
import type { Rules } from '#src/platform/config/rules.ts';

const file = (name: string, what: string) => key(string(name), `The template of ${what}.`);

const subjects = block({
  message_from_person_in_room: key(
    string('[%(app)s] You have a message on %(app)s from %(person)s in the %(room)s room...'),
    'One message in a room.',
  ),
  message_from_person: key(string('[%(app)s] You have a message on %(app)s from %(person)s...'), 'One message in a room without a name.'),
  messages_from_person: key(string('[%(app)s] You have messages on %(app)s from %(person)s...'), 'Several messages of one person.'),
  messages_in_room: key(string('[%(app)s] You have messages on %(app)s in the %(room)s room...'), 'Several messages in one room.'),
  messages_in_room_and_others: key(
    string('[%(app)s] You have messages on %(app)s in the %(room)s room and others...'),
    'Messages in several rooms.',
  ),
  messages_from_person_and_others: key(
    string('[%(app)s] You have messages on %(app)s from %(person)s and others...'),
    'Messages of several persons in several rooms.',
  ),
  invite_from_person: key(string('[%(app)s] %(person)s has invited you to chat on %(app)s...'), 'An invite to a room without a name.'),
  invite_from_person_to_room: key(
    string('[%(app)s] %(person)s has invited you to join the %(room)s room on %(app)s...'),
    'An invite to a room.',
  ),
  invite_from_person_to_space: key(
    string('[%(app)s] %(person)s has invited you to join the %(space)s space on %(app)s...'),
    'An invite to a space.',
  ),
  password_reset: key(string('[%(server_name)s] Password reset'), 'Resetting a password.'),
  email_validation: key(string('[%(server_name)s] Validate your email'), 'Confirming an address.'),
  email_already_in_use: key(string('[%(server_name)s] Email already in use'), 'An address that is in use.'),
});

const templates = {
  password_reset_template_html: file('password_reset.html', 'the mail for resetting a password, in HTML'),
  password_reset_template_text: file('password_reset.txt', 'the mail for resetting a password, in text'),
  registration_template_html: file('registration.html', 'the mail for registering, in HTML'),
  registration_template_text: file('registration.txt', 'the mail for registering, in text'),
  add_threepid_template_html: file('add_threepid.html', 'the mail for adding an address, in HTML'),
  add_threepid_template_text: file('add_threepid.txt', 'the mail for adding an address, in text'),
  already_in_use_template_html: file('already_in_use.html', 'the mail for an address in use, in HTML'),
  already_in_use_template_text: file('already_in_use.txt', 'the mail for an address in use, in text'),
  password_reset_template_failure_html: file('password_reset_failure.html', 'the page when resetting failed'),
  registration_template_failure_html: file('registration_failure.html', 'the page when registering failed'),
  add_threepid_template_failure_html: file('add_threepid_failure.html', 'the page when adding failed'),
  password_reset_template_success_html: file('password_reset_success.html', 'the page when resetting succeeded'),
  registration_template_success_html: file('registration_success.html', 'the page when registering succeeded'),
  add_threepid_template_success_html: file('add_threepid_success.html', 'the page when adding succeeded'),
  notif_template_html: file('notif_mail.html', 'the mail about missed messages, in HTML'),
  notif_template_text: file('notif_mail.txt', 'the mail about missed messages, in text'),
  expiry_template_html: file('notice_expiry.html', 'the mail about an account that expires, in HTML'),
  expiry_template_text: file('notice_expiry.txt', 'the mail about an account that expires, in text'),
} as const;

/** Synapse refuses this one only when it is true. */
const trustIdentityServer = custom<false, undefined>(
  'left out: this server sends its e-mails itself; set up the email section',
  undefined,
  (raw) => (raw === false ? raw : undefined),
);

export const emailKeys = {
  email: key(
    optional(
      block({
        smtp_host: key(string('localhost'), 'The mail server.'),
        smtp_port: key(integer(undefined, { min: 1, max: 65_535 }), 'Its port; by default 25, or 465 with `force_tls`.'),
        smtp_user: key(string(), 'The user to log in as; none by default.'),
        smtp_pass: key(string(), 'Its password.'),
        force_tls: key(boolean(false), 'Whether to speak TLS from the beginning.'),
        require_transport_security: key(boolean(false), 'Whether STARTTLS is required.'),
        enable_tls: key(boolean(true), 'Whether STARTTLS is used where the mail server offers it.'),
        tlsname: key(string(), 'The name that its certificate must have; by default `smtp_host`.'),
        notif_from: key(string(), 'The sender, such as `Your %(app)s server <noreply@example.com>`.'),
        app_name: key(string('Matrix'), 'What `%(app)s` stands for.'),
        enable_notifs: key(boolean(false), 'Whether users get mails about missed messages.'),
        notif_for_new_users: key(boolean(true), 'Whether new users get them unless they say no.'),
        notif_delay_before_mail: key(duration('10m'), 'How long a message must have been unread.'),
        client_base_url: key(url(), 'The web client that links in mails lead to; by default matrix.to.'),
        riot_base_url: key(url(), 'The old name of `client_base_url`.'),
        validation_token_lifetime: key(duration('1h'), 'How long links to confirm an address are valid.'),
        invite_client_location: key(url(), 'The web client that people are sent to who are invited by e-mail.'),
        template_dir: key(path(), 'A folder with templates; deprecated in favour of `templates.custom_template_directory`.'),
        subjects: key(subjects, 'The subjects of mails.'),
        ...templates,
        redact_content: key(boolean(), 'The old opposite of `push.include_content`.'),
        trust_identity_server_for_password_resets: key(ignored('this server sends its e-mails itself'), 'A relic.'),
      }),
    ),
    'Sending e-mails. Its presence turns on confirming addresses.',
  ),
  trust_identity_server_for_password_resets: key(trustIdentityServer, 'A relic; true is refused.', { acts: true }),
  trusted_third_party_id_servers: key(ignored('clients choose their identity server'), 'A relic.'),
} as const;

export const emailRules: Rules = (config, report) => {
  const { email } = config;
  if (email === undefined) return;
  if (email.notif_from === undefined) report.at('email').refuse('needs notif_from: the sender of mails');
  if (!email.enable_tls) {
    for (const name of ['force_tls', 'require_transport_security'] as const) {
      if (email[name]) report.at(`email.${name}`).refuse('cannot be true while email.enable_tls is false');
    }
  }
  if (email.template_dir !== undefined) report.at('email.template_dir').warn('is deprecated; use templates.custom_template_directory');
};

export const pushKeys = {
  push: key(
    block({
      enabled: key(boolean(true), 'Whether there are push notifications.', { acts: true }),
      include_content: key(boolean(true), 'Whether the content of messages is in them.', { acts: true }),
      group_unread_count_by_room: key(boolean(true), 'Whether the badge counts rooms, and not messages.', { acts: true }),
      redact_content: key(ignored('see push.include_content'), 'A relic.'),
      jitter_delay: key(duration('0s'), 'By how much notifications are delayed at random, so that nobody learns from their timing.', {
        acts: true,
      }),
    }),
    'Push notifications.',
  ),
} as const;
