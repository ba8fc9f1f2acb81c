import { block, list, mapOf, optional } from '#src/platform/config/blocks.ts';
import { boolean, custom, ignored, key, mxc, nullable, oneOf, path, string, url } from '#src/platform/config/kinds.ts';
import type { Rules } from '#src/platform/config/rules.ts';

const casVersion = custom<1 | 2 | 3, undefined>('1, 2 or 3', undefined, (raw) => (raw === 1 || raw === 2 || raw === 3 ? raw : undefined));
const prefix = custom<string, string>('letters and digits', 'u', (raw) =>
  typeof raw === 'string' && /^[a-z0-9]+$/iu.test(raw) ? raw : undefined,
);

export const ssoKeys = {
  cas_config: key(
    optional(
      block({
        enabled: key(boolean(true), 'Whether it is used.'),
        server_url: key(url(), 'The CAS server.'),
        service_url: key(ignored('public_baseurl is used'), 'A relic.'),
        displayname_attribute: key(string(), 'The attribute with the name.'),
        required_attributes: key(mapOf(nullable(string())), 'Attributes that users must have, with their value or null for any.'),
        protocol_version: key(casVersion, 'The version of the protocol.'),
        enable_registration: key(boolean(true), 'Whether unknown users get an account.'),
        allow_numeric_ids: key(boolean(false), 'Whether user names may consist of digits alone.'),
        numeric_ids_prefix: key(prefix, 'What is put before such names.'),
        idp_name: key(string('CAS'), 'The name that users see.'),
        idp_icon: key(mxc(), 'The icon that users see.'),
        idp_brand: key(string(), 'The brand, so that clients can choose a button.'),
      }),
    ),
    'Login with CAS.',
  ),
  sso: key(
    block({
      client_whitelist: key(list(string()), 'Beginnings of the addresses of clients that users are sent back to without being asked.'),
      update_profile_information: key(boolean(false), 'Whether name and avatar are updated at each login.'),
      template_dir: key(path(), 'A folder with templates; deprecated in favour of `templates.custom_template_directory`.'),
    }),
    'What all kinds of single sign-on share.',
  ),
  matrix_authentication_service: key(
    block({
      enabled: key(boolean(false), 'Whether it is used.'),
      endpoint: key(url('http://localhost:8080'), 'Where it is.'),
      force_http2: key(boolean(false), 'Whether it is spoken to with HTTP/2.'),
      secret: key(string(), 'The secret shared with it.'),
      secret_path: key(path(), 'A file that holds it.'),
    }),
    'Leaving accounts to the Matrix Authentication Service.',
  ),
} as const;

export const ssoRules: Rules = (config, report) => {
  if (config.cas_config?.enabled === true && config.cas_config.server_url === undefined)
    report.at('cas_config').refuse('needs server_url: the CAS server');
  if (config.sso.template_dir !== undefined) report.at('sso.template_dir').warn('is deprecated; use templates.custom_template_directory');
  const service = config.matrix_authentication_service;
  if (!service.enabled) return;
  if ((service.secret === undefined) === (service.secret_path === undefined))
    report.at('matrix_authentication_service').refuse('needs either secret or secret_path');
  const conflicts = [
    ['enable_registration', config.enable_registration],
    ['cas_config', config.cas_config?.enabled === true],
    [
      'saml2_config',
      config.saml2_config?.enabled === true &&
        (config.saml2_config.config_path !== undefined || Object.keys(config.saml2_config.sp_config).length > 0),
    ],
    ['oidc_providers', config.oidc_providers.length > 0],
    ['jwt_config', config.jwt_config?.enabled === true],
  ] as const;
  for (const [name, set] of conflicts) {
    if (set)
      report.at(name).refuse('cannot be used together with matrix_authentication_service, which looks after accounts; remove one of them');
  }
};

export const jwtKeys = {
  jwt_config: key(
    optional(
      block({
        enabled: key(boolean(false), 'Whether it is used.'),
        secret: key(string(), 'The shared secret, or the public key in PEM.'),
        algorithm: key(
          oneOf(['HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512', 'EdDSA']),
          'How tokens are signed.',
        ),
        subject_claim: key(string('sub'), 'The claim with the local part of the user id.'),
        issuer: key(string(), 'The issuer that tokens must name.'),
        audiences: key(optional(list(string())), 'The audiences of which tokens must name one.'),
        display_name_claim: key(string(), 'The claim with the name.'),
      }),
    ),
    'Login with a JSON web token.',
  ),
} as const;

export const jwtRules: Rules = (config, report) => {
  if (config.jwt_config?.enabled !== true) return;
  for (const name of ['secret', 'algorithm'] as const)
    if (config.jwt_config[name] === undefined) report.at('jwt_config').refuse(`needs ${name}`);
};
