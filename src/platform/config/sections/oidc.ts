import { block, list, mapOf, openBlock, optional } from '#src/platform/config/blocks.ts';
import { boolean, custom, key, mxc, oneOf, path, required, string, url } from '#src/platform/config/kinds.ts';
import type { Rules } from '#src/platform/config/rules.ts';
import { attributeRequirement } from '#src/platform/config/sections/saml.ts';

const idpId = custom<string, undefined>('1 to 250 of the letters A-Z a-z 0-9 . _ ~ -', undefined, (raw) =>
  typeof raw === 'string' && /^[\w.~-]{1,250}$/u.test(raw) ? raw : undefined,
);
const idpBrand = custom<string, undefined>('a lower-case word of a-z 0-9 _ . - with at most 255 letters', undefined, (raw) =>
  typeof raw === 'string' && /^[a-z][a-z0-9_.-]{0,254}$/u.test(raw) ? raw : undefined,
);

const jwtKey = block({
  key: key(string(), 'The private key, in PEM.'),
  key_file: key(path(), 'A file that holds it.'),
  jwt_header: key(required(mapOf(string())), 'The header of the token, with `alg`.'),
  jwt_payload: key(mapOf(string()), 'Claims of the token; `iat` and `exp` are added.'),
});

const mapper = openBlock({
  subject_template: key(string(), 'A template for what identifies a user; by default `{{ user.sub }}`.'),
  subject_claim: key(string(), 'The older form: the claim that identifies a user.'),
  picture_template: key(string(), 'A template for the avatar; by default `{{ user.picture }}`.'),
  picture_claim: key(string(), 'The older form: the claim with the avatar.'),
  localpart_template: key(string(), 'A template for the local part of the user id; without it users choose.'),
  confirm_localpart: key(boolean(false), 'Whether users can still change it.'),
  display_name_template: key(string(), 'A template for the name.'),
  email_template: key(string(), 'A template for the e-mail address.'),
  extra_attributes: key(mapOf(string()), 'Templates for further fields in the answer to a login.'),
});

const providerKeys = {
  discover: key(boolean(true), 'Whether the endpoints are discovered.'),
  issuer: key(required(string()), 'The issuer: the URL of the provider.'),
  client_id: key(required(string()), 'The id of this server at the provider.'),
  client_secret: key(string(), 'Its secret there.'),
  client_secret_path: key(path(), 'A file that holds it.'),
  client_secret_jwt_key: key(optional(jwtKey), 'The key to sign a secret with, for providers that want that.'),
  client_auth_method: key(oneOf(['client_secret_basic', 'client_secret_post', 'none'], 'client_secret_basic'), 'How the secret is sent.'),
  pkce_method: key(oneOf(['auto', 'always', 'never'], 'auto'), 'Whether PKCE is used.'),
  scopes: key(list(string(), ['openid']), 'The scopes to ask for.'),
  authorization_endpoint: key(url(), 'Where users are sent, if that is not discovered.'),
  token_endpoint: key(url(), 'Where tokens are fetched, if that is not discovered.'),
  userinfo_endpoint: key(url(), 'Where users are described, if that is not discovered.'),
  jwks_uri: key(url(), 'Where keys are published, if that is not discovered.'),
  skip_verification: key(boolean(false), 'Whether what is discovered is not checked.'),
  user_profile_method: key(oneOf(['auto', 'userinfo_endpoint'], 'auto'), 'Where the profile comes from.'),
  allow_existing_users: key(boolean(false), 'Whether a user with the same id may be taken over.'),
  enable_registration: key(boolean(true), 'Whether unknown users get an account.'),
  user_mapping_provider: key(
    block({
      module: key(string(), 'A Python class that makes users of claims.'),
      config: key(mapper, 'Its settings.'),
    }),
    'How users get their id.',
  ),
  backchannel_logout_enabled: key(boolean(false), 'Whether the provider can end sessions.'),
  backchannel_logout_ignore_sub: key(boolean(false), 'Whether it may do so without naming the right user.'),
  attribute_requirements: key(list(attributeRequirement), 'What the claims of users must be.'),
  id_token_signing_alg_values_supported: key(optional(list(string())), 'The algorithms that tokens may be signed with.'),
  redirect_uri: key(url(), 'Where the provider sends users back to, if elsewhere.'),
  additional_authorization_parameters: key(mapOf(string()), 'Further parameters for the provider.'),
  passthrough_authorization_parameters: key(list(string()), 'Parameters of clients that the provider gets as well.'),
} as const;

const provider = block({
  idp_id: key(required(idpId), 'A short id for the provider; it cannot be changed later.'),
  idp_name: key(required(string()), 'The name that users see.'),
  idp_icon: key(mxc(), 'The icon that users see.'),
  idp_brand: key(idpBrand, 'The brand, so that clients can choose a button.'),
  ...providerKeys,
});

export const oidcKeys = {
  oidc_config: key(
    optional(openBlock({ enabled: key(boolean(false), 'Whether it is used.') })),
    'One provider in the old form: the keys of `oidc_providers`, where `idp_id` and `idp_name` may be left out.',
  ),
  oidc_providers: key(list(provider), 'Login with OpenID Connect, by provider.'),
} as const;

const SECRETS = ['client_secret', 'client_secret_path', 'client_secret_jwt_key'] as const;

export const oidcRules: Rules = (config, report) => {
  const seen = new Set<string>();
  for (const [index, item] of config.oidc_providers.entries()) {
    const place = report.at(`oidc_providers[${String(index)}]`);
    if (seen.has(item.idp_id)) place.child('idp_id').refuse(`${item.idp_id} is used twice; each provider needs an id of its own`);
    seen.add(item.idp_id);
    const secrets = SECRETS.filter((name) => item[name] !== undefined);
    if (secrets.length > 1) place.refuse(`has ${secrets.join(' and ')}; keep one of them`);
    if (secrets.length === 0 && item.client_auth_method !== 'none')
      place.refuse('needs client_secret (or client_secret_jwt_key, or client_auth_method: none)');
    const jwt = item.client_secret_jwt_key;
    if (jwt !== undefined && (jwt.key === undefined) === (jwt.key_file === undefined))
      place.child('client_secret_jwt_key').refuse('needs either key or key_file');
    if (jwt !== undefined && !Object.hasOwn(jwt.jwt_header, 'alg'))
      place.child('client_secret_jwt_key').child('jwt_header').refuse('needs alg: the algorithm to sign with');
    if (!item.issuer.startsWith('https://') && !item.skip_verification)
      place.child('issuer').refuse('must start with https://, or skip_verification must be true');
    if (item.discover) continue;
    const needed = ['authorization_endpoint', 'token_endpoint', item.scopes.includes('openid') ? 'jwks_uri' : 'userinfo_endpoint'] as const;
    for (const name of needed) if (item[name] === undefined) place.refuse(`needs ${name}, because discover is false`);
  }
};
