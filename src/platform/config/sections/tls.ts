import { list, optional } from '#src/platform/config/blocks.ts';
import { asciiGlob } from '#src/platform/config/formats.ts';
import { boolean, ignored, key, path, text } from '#src/platform/config/kinds.ts';
import type { Rules } from '#src/platform/config/rules.ts';

export const tlsKeys = {
  tls_certificate_path: key(path(), 'The certificate for listeners with `tls: true`, with its chain, in PEM. Read again on SIGHUP.', {
    acts: true,
  }),
  tls_private_key_path: key(path(), 'Its private key, in PEM.', { acts: true }),
  federation_verify_certificates: key(boolean(true), "Whether other servers' certificates are checked.", { acts: true }),
  federation_client_minimum_tls_version: key(text('1'), 'The oldest version of TLS to speak with other servers: 1, 1.1, 1.2 or 1.3.', {
    acts: true,
  }),
  federation_certificate_verification_whitelist: key(
    list(asciiGlob()),
    'Servers whose certificates are not checked; `*` and `?` are wildcards.',
    { acts: true },
  ),
  federation_custom_ca_list: key(optional(list(path())), "Authorities to trust instead of the system's, as PEM files.", { acts: true }),
  use_insecure_ssl_client_just_for_testing_do_not_use: key(boolean(false), 'Whether to check no certificate at all.', { acts: true }),
  acme: key(ignored('certificates must be fetched by another program'), 'A relic.'),
  tls_dh_params_path: key(ignored('key exchange needs no parameter file today'), 'A relic.'),
} as const;

export const tlsRules: Rules = (config, report) => {
  const minimum = config.federation_client_minimum_tls_version;
  if (!['1', '1.0', '1.1', '1.2', '1.3'].includes(minimum))
    report.at('federation_client_minimum_tls_version').fault(minimum, 'one of 1, 1.1, 1.2, 1.3');
  if (config.federation_custom_ca_list?.length === 0) {
    report.at('federation_custom_ca_list').refuse('is empty, so that no server could be trusted; list the authorities, or remove the key');
  }
  if (config.use_insecure_ssl_client_just_for_testing_do_not_use) {
    report
      .at('use_insecure_ssl_client_just_for_testing_do_not_use')
      .warn('certificates are not checked: anybody can pretend to be another server');
  }
};
