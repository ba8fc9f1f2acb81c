import { block, list, mapOf, optional } from '#src/platform/config/blocks.ts';
import { anything, boolean, duration, key, mxc, nullable, oneOf, path, required, string } from '#src/platform/config/kinds.ts';
import type { Rules } from '#src/platform/config/rules.ts';

const MAPPINGS = ['hexencode', 'dotreplace'] as const;

/** What a user's attributes must be, for SAML and OpenID Connect alike. */
export const attributeRequirement = block({
  attribute: key(required(string()), 'The attribute.'),
  value: key(string(), 'The value that it must have.'),
  one_of: key(optional(list(string())), 'The values of which it must have one.'),
});

export const samlKeys = {
  saml2_config: key(
    optional(
      block({
        enabled: key(boolean(true), 'Whether it is used; it also needs `sp_config` or `config_path`.'),
        sp_config: key(mapOf(anything()), 'Settings of the service provider, as pysaml2 takes them.'),
        config_path: key(path(), 'A Python file with such settings.'),
        saml_session_lifetime: key(duration('15m'), 'How long a login may take.'),
        user_mapping_provider: key(
          block({
            module: key(string(), 'A Python class that makes users of attributes.'),
            config: key(
              block({
                mxid_source_attribute: key(string('uid'), 'The attribute that becomes the local part of the user id.'),
                mxid_mapping: key(oneOf(MAPPINGS, 'hexencode'), 'What happens to letters that are not allowed there.'),
              }),
              'Its settings.',
            ),
          }),
          'How users get their id.',
        ),
        mxid_source_attribute: key(string(), 'The old place of that setting.'),
        mxid_mapping: key(oneOf(MAPPINGS), 'The old place of that setting.'),
        grandfathered_mxid_source_attribute: key(
          nullable(string('uid')),
          'The attribute by which users from before are recognised; null for not.',
        ),
        attribute_requirements: key(list(attributeRequirement), 'What the attributes of users must be.'),
        idp_entityid: key(string(), 'The identity provider, where the metadata name several.'),
        idp_name: key(string('SAML'), 'The name that users see.'),
        idp_icon: key(mxc(), 'The icon that users see.'),
        idp_brand: key(string(), 'The brand, so that clients can choose a button.'),
      }),
    ),
    'Login with SAML 2.',
  ),
} as const;

export const samlRules: Rules = (config, report) => {
  for (const name of ['mxid_source_attribute', 'mxid_mapping'] as const) {
    if (config.saml2_config?.[name] !== undefined)
      report.at(`saml2_config.${name}`).warn('is deprecated; use saml2_config.user_mapping_provider.config');
  }
};
