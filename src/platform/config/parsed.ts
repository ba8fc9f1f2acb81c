import type { ValueOf } from '#src/platform/config/kinds.ts';
import type { accountValidityKeys } from '#src/platform/config/sections/account-validity.ts';
import type { apiKeys } from '#src/platform/config/sections/api.ts';
import type { cachingKeys } from '#src/platform/config/sections/caching.ts';
import type { captchaKeys, turnKeys } from '#src/platform/config/sections/captcha-turn.ts';
import type { databaseKeys } from '#src/platform/config/sections/database.ts';
import type { emailKeys, pushKeys } from '#src/platform/config/sections/email.ts';
import type { experimentalKeys } from '#src/platform/config/sections/experimental.ts';
import type { federationKeys } from '#src/platform/config/sections/federation.ts';
import type { limitKeys } from '#src/platform/config/sections/limits.ts';
import type { listenerKeys } from '#src/platform/config/sections/listeners.ts';
import type { loggingKeys } from '#src/platform/config/sections/logging.ts';
import type { mediaKeys } from '#src/platform/config/sections/media.ts';
import type { metricsKeys } from '#src/platform/config/sections/metrics.ts';
import type { moduleKeys } from '#src/platform/config/sections/modules.ts';
import type { oidcKeys } from '#src/platform/config/sections/oidc.ts';
import type { passwordKeys } from '#src/platform/config/sections/password.ts';
import type { ratelimitingKeys } from '#src/platform/config/sections/ratelimiting.ts';
import type { registrationKeys } from '#src/platform/config/sections/registration.ts';
import type { roomKeys } from '#src/platform/config/sections/rooms.ts';
import type { samlKeys } from '#src/platform/config/sections/saml.ts';
import type { serverKeys } from '#src/platform/config/sections/server.ts';
import type { signingKeys } from '#src/platform/config/sections/signing-keys.ts';
import type { jwtKeys, ssoKeys } from '#src/platform/config/sections/sso.ts';
import type { tlsKeys } from '#src/platform/config/sections/tls.ts';
import type { backgroundUpdateKeys, tracingKeys } from '#src/platform/config/sections/tracing.ts';
import type { workerKeys } from '#src/platform/config/sections/workers.ts';

type Server = typeof serverKeys & typeof listenerKeys & typeof tlsKeys & typeof databaseKeys & typeof loggingKeys & typeof metricsKeys;
type Accounts = typeof registrationKeys & typeof passwordKeys & typeof captchaKeys & typeof accountValidityKeys & typeof emailKeys;
type SignOn = typeof ssoKeys & typeof oidcKeys & typeof samlKeys & typeof jwtKeys;
type Content = typeof roomKeys & typeof mediaKeys & typeof limitKeys & typeof ratelimitingKeys & typeof pushKeys & typeof turnKeys;
type Inside = typeof cachingKeys &
  typeof backgroundUpdateKeys &
  typeof tracingKeys &
  typeof workerKeys &
  typeof moduleKeys &
  typeof experimentalKeys;
type All = Server & Accounts & SignOn & Content & Inside & typeof federationKeys & typeof signingKeys & typeof apiKeys;

/** The values of all keys as they are written, with defaults for what is absent. */
export type Parsed = { readonly [Name in keyof All]: ValueOf<All[Name]> };
