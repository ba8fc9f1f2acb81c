import { block, list, optional } from '#src/platform/config/blocks.ts';
import { boolean, custom, key, path, string } from '#src/platform/config/kinds.ts';
import { notBoth, type Rules } from '#src/platform/config/rules.ts';

/** A type of state event, or one event of it by its state key. */
export type StateSelector = string | readonly [type: string] | readonly [type: string, stateKey: string];

const isSelector = (raw: unknown): raw is StateSelector =>
  typeof raw === 'string' ||
  (Array.isArray(raw) && (raw.length === 1 || raw.length === 2) && raw.every((part) => typeof part === 'string'));

const selector = custom<StateSelector, undefined>('an event type, [type] or [type, state_key]', undefined, (raw) =>
  isSelector(raw) ? raw : undefined,
);

export const apiKeys = {
  room_prejoin_state: key(
    block({
      disable_default_event_types: key(
        boolean(false),
        'Whether not to send the usual ones (join rules, name, avatar, topic, encryption, create event, …).',
      ),
      additional_event_types: key(list(selector), 'Which other state events to send: types, or pairs of type and state key.'),
    }),
    'What invited and knocking users are shown of a room before they are in it.',
    { acts: true },
  ),
  room_invite_state_types: key(optional(list(string())), 'The old key for that: exactly these types are sent.', { acts: true }),
  track_puppeted_user_ips: key(boolean(false), 'Whether the addresses of administrators who act as a user are recorded as that user’s.'),
  track_appservice_user_ips: key(boolean(false), 'Whether the addresses of application services are recorded for their users.'),
  app_service_config_files: key(list(path()), 'The registration files of application services.'),
  use_appservice_legacy_authorization: key(boolean(false), 'Whether application services are sent their token in the query as well.'),
  macaroon_secret_key: key(
    string(),
    'The secret that signs the tokens of guests, unsubscribe links and the like. By default `registration_shared_secret`.',
  ),
  macaroon_secret_key_path: key(path(), 'A file that holds `macaroon_secret_key`.'),
  form_secret: key(string(), 'The secret that signs links to the consent form.'),
  form_secret_path: key(path(), 'A file that holds `form_secret`.'),
} as const;

export const apiRules: Rules = (config, report) => {
  notBoth(report, 'macaroon_secret_key', config.macaroon_secret_key, config.macaroon_secret_key_path);
  notBoth(report, 'form_secret', config.form_secret, config.form_secret_path);
  if (config.room_invite_state_types === undefined) return;
  if (report.isSet('room_prejoin_state'))
    report.at('room_invite_state_types').refuse('cannot be set together with room_prejoin_state, which replaces it; remove it');
  else report.at('room_invite_state_types').warn('is deprecated; use room_prejoin_state');
};
