import { block, list, mapOf, openBlock, optional } from '#src/platform/config/blocks.ts';
import { anything, boolean, custom, key, required, string } from '#src/platform/config/kinds.ts';
import type { Rules } from '#src/platform/config/rules.ts';

const module = block({
  module: key(required(string()), 'The class to load.'),
  config: key(mapOf(anything()), 'Its settings.'),
});

const ldap = openBlock({
  enabled: key(boolean(false), 'Whether it is used.'),
  uri: key(anything(), 'The LDAP server, or a list of them.'),
  start_tls: key(boolean(), 'Whether to use STARTTLS.'),
  base: key(string(), 'Where to search.'),
  attributes: key(
    block({
      uid: key(string(), 'The attribute with the local part of the user id.'),
      mail: key(string(), 'The attribute with the e-mail address.'),
      name: key(string(), 'The attribute with the name.'),
    }),
    'What the attributes are called.',
  ),
  bind_dn: key(string(), 'Who searches.'),
  bind_password: key(string(), 'Its password.'),
  filter: key(string(), 'A filter for users.'),
});

const spamChecker = custom<object, undefined>('a map or a list of maps', undefined, (raw) =>
  typeof raw === 'object' && raw !== null ? raw : undefined,
);

export const moduleKeys = {
  modules: key(list(module), 'Modules to load, in this order.'),
  password_providers: key(list(module), 'Modules that check passwords, of the old kind.'),
  ldap_config: key(optional(ldap), 'Checking passwords with LDAP, in its old place.'),
  spam_checker: key(spamChecker, 'Modules that check for spam, of the old kind.'),
  third_party_event_rules: key(optional(module), 'A module that decides about events, of the old kind.'),
} as const;

export const moduleRules: Rules = (config, report) => {
  for (const name of ['spam_checker', 'third_party_event_rules', 'ldap_config'] as const) {
    if (config[name] !== undefined) report.at(name).warn('is deprecated; use modules');
  }
};
