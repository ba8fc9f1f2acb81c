import { block, list } from '#src/platform/config/blocks.ts';
import { boolean, duration, ignored, key, path, required, string, url } from '#src/platform/config/kinds.ts';
import { notBoth, type Rules } from '#src/platform/config/rules.ts';

export const captchaKeys = {
  recaptcha_public_key: key(string(), 'The public key of reCAPTCHA.'),
  recaptcha_public_key_path: key(path(), 'A file that holds it.'),
  recaptcha_private_key: key(string(), 'The private key of reCAPTCHA.'),
  recaptcha_private_key_path: key(path(), 'A file that holds it.'),
  enable_registration_captcha: key(boolean(false), 'Whether a captcha must be solved to register.'),
  recaptcha_siteverify_api: key(url('https://www.recaptcha.net/recaptcha/api/siteverify'), 'Where solutions are checked.'),
  captcha_bypass_secret: key(ignored('a captcha cannot be bypassed'), 'A relic.'),
} as const;

export const captchaRules: Rules = (config, report) => {
  notBoth(report, 'recaptcha_public_key', config.recaptcha_public_key, config.recaptcha_public_key_path);
  notBoth(report, 'recaptcha_private_key', config.recaptcha_private_key, config.recaptcha_private_key_path);
};

const transport = block({
  type: key(required(string()), 'The kind of transport.'),
  livekit_service_url: key(url(), 'The address of the LiveKit service, for `type: livekit`.'),
});

export const turnKeys = {
  turn_uris: key(list(string()), 'The TURN servers that clients use for calls.', { acts: true }),
  turn_shared_secret: key(string(), 'The secret shared with them, from which credentials are made.', { acts: true }),
  turn_shared_secret_path: key(path(), 'A file that holds it.', { acts: true }),
  turn_username: key(string(), 'A fixed user name instead, where there is no secret.', { acts: true }),
  turn_password: key(string(), 'Its password.', { acts: true }),
  turn_user_lifetime: key(duration('1h'), 'How long credentials are valid.', { acts: true }),
  turn_allow_guests: key(boolean(true), 'Whether guests get credentials.', { acts: true }),
  matrix_rtc: key(block({ transports: key(list(transport), 'The transports that clients are told of.') }), 'Group calls.'),
} as const;

export const turnRules: Rules = (config, report) => {
  notBoth(report, 'turn_shared_secret', config.turn_shared_secret, config.turn_shared_secret_path);
  for (const [index, item] of config.matrix_rtc.transports.entries()) {
    if (item.type === 'livekit' && item.livekit_service_url === undefined)
      report.at(`matrix_rtc.transports[${String(index)}]`).refuse('needs livekit_service_url');
  }
};
