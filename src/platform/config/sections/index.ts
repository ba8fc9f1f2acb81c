import type { Keys } from '#src/platform/config/kinds.ts';
import type { Rules } from '#src/platform/config/rules.ts';
import { accountValidityKeys, accountValidityRules } from '#src/platform/config/sections/account-validity.ts';
import { apiKeys, apiRules } from '#src/platform/config/sections/api.ts';
import { cachingKeys, cachingRules } from '#src/platform/config/sections/caching.ts';
import { captchaKeys, captchaRules, turnKeys, turnRules } from '#src/platform/config/sections/captcha-turn.ts';
import { databaseKeys, databaseRules } from '#src/platform/config/sections/database.ts';
import { emailKeys, emailRules, pushKeys } from '#src/platform/config/sections/email.ts';
import { experimentalKeys, experimentalRules } from '#src/platform/config/sections/experimental.ts';
import { federationKeys } from '#src/platform/config/sections/federation.ts';
import { limitKeys, limitRules } from '#src/platform/config/sections/limits.ts';
import { listenerKeys, listenerRules } from '#src/platform/config/sections/listeners.ts';
import { loggingKeys } from '#src/platform/config/sections/logging.ts';
import { mediaKeys, mediaRules } from '#src/platform/config/sections/media.ts';
import { metricsKeys } from '#src/platform/config/sections/metrics.ts';
import { moduleKeys, moduleRules } from '#src/platform/config/sections/modules.ts';
import { oidcKeys, oidcRules } from '#src/platform/config/sections/oidc.ts';
import { passwordKeys } from '#src/platform/config/sections/password.ts';
import { ratelimitingKeys } from '#src/platform/config/sections/ratelimiting.ts';
import { registrationKeys, registrationRules } from '#src/platform/config/sections/registration.ts';
import { roomKeys, roomRules } from '#src/platform/config/sections/rooms.ts';
import { samlKeys, samlRules } from '#src/platform/config/sections/saml.ts';
import { serverKeys, serverRules } from '#src/platform/config/sections/server.ts';
import { signingKeyRules, signingKeys } from '#src/platform/config/sections/signing-keys.ts';
import { jwtKeys, jwtRules, ssoKeys, ssoRules } from '#src/platform/config/sections/sso.ts';
import { tlsKeys, tlsRules } from '#src/platform/config/sections/tls.ts';
import { backgroundUpdateKeys, tracingKeys } from '#src/platform/config/sections/tracing.ts';
import { workerKeys, workerRules } from '#src/platform/config/sections/workers.ts';

export interface Section {
  readonly title: string;
  readonly keys: Keys;
  readonly rules: Rules;
}

const section = (title: string, keys: Keys, rules: Rules = () => undefined): Section => ({ title, keys, rules });

/** The chapters of the manual, in its order. */
export const sections: readonly Section[] = [
  section('Server', serverKeys, serverRules),
  section('Listeners', listenerKeys, listenerRules),
  section('TLS', tlsKeys, tlsRules),
  section('Database', databaseKeys, databaseRules),
  section('Logging', loggingKeys),
  section('Registration', registrationKeys, registrationRules),
  section('Passwords', passwordKeys),
  section('Rate limits', ratelimitingKeys),
  section('Limits and retention', limitKeys, limitRules),
  section('Rooms and users', roomKeys, roomRules),
  section('Media', mediaKeys, mediaRules),
  section('Federation', federationKeys),
  section('Signing keys', signingKeys, signingKeyRules),
  section('Interfaces', apiKeys, apiRules),
  section('Captcha', captchaKeys, captchaRules),
  section('Calls', turnKeys, turnRules),
  section('E-mail', emailKeys, emailRules),
  section('Push notifications', pushKeys),
  section('Account validity', accountValidityKeys, accountValidityRules),
  section('Single sign-on', ssoKeys, ssoRules),
  section('OpenID Connect', oidcKeys, oidcRules),
  section('SAML', samlKeys, samlRules),
  section('JSON web tokens', jwtKeys, jwtRules),
  section('Caches', cachingKeys, cachingRules),
  section('Metrics', metricsKeys),
  section('Tracing', tracingKeys),
  section('Background updates', backgroundUpdateKeys),
  section('Workers', workerKeys, workerRules),
  section('Modules', moduleKeys, moduleRules),
  section('Experiments', experimentalKeys, experimentalRules),
];

/** Every top-level key. */
export const allKeys: Keys = Object.assign({}, ...sections.map(({ keys }) => keys)) as Keys;
