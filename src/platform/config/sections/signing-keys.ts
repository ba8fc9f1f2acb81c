import { block, list, mapOf, optional } from '#src/platform/config/blocks.ts';
import { serverName, verifyKey } from '#src/platform/config/formats.ts';
import { anything, boolean, duration, ignored, integer, key, path, required, string } from '#src/platform/config/kinds.ts';
import { isSigningKeyText } from '#src/platform/config/key-file.ts';
import type { Rules } from '#src/platform/config/rules.ts';

const oldKeys = mapOf(
  block({
    key: key(required(verifyKey()), 'The public key, in unpadded base64.'),
    expired_ts: key(required(integer()), 'When it was last used, in milliseconds since 1970.'),
  }),
);

const notary = block({
  server_name: key(required(serverName()), 'The server.'),
  verify_keys: key(mapOf(verifyKey()), 'The keys that it must sign its answers with, by key id.'),
  accept_keys_insecurely: key(boolean(false), 'Whether to trust its answers although neither keys nor certificates are checked.'),
});

const perspectives = optional(block({ servers: key(mapOf(anything()), 'The servers, with their keys.') }));

export const signingKeys = {
  signing_key: key(string(), 'The signing key itself, as a line of a key file; instead of `signing_key_path`.', { acts: true }),
  signing_key_path: key(
    path(),
    'The file with the key that signs events and requests; by default `<server_name>.signing.key` beside the configuration.',
    { acts: true },
  ),
  old_signing_keys: key(oldKeys, 'Keys that this server once signed with, by key id, so that others can still check old signatures.', {
    acts: true,
  }),
  key_refresh_interval: key(duration('1d'), 'For how long others may rely on the published keys.', { acts: true }),
  trusted_key_servers: key(
    list(notary, [{ server_name: 'matrix.org', verify_keys: {}, accept_keys_insecurely: false }]),
    'Servers that are asked for the keys of others.',
    { acts: true },
  ),
  perspectives: key(perspectives, 'The old form of `trusted_key_servers`.'),
  suppress_key_server_warning: key(boolean(false), 'Whether not to warn that matrix.org is trusted.', { acts: true }),
  key_server_signing_keys_path: key(path(), 'A file with keys to sign with when others ask this server for keys.', { acts: true }),
  tls_fingerprints: key(ignored('certificates are checked against authorities today'), 'A relic.'),
} as const;

export const signingKeyRules: Rules = (config, report) => {
  if (config.signing_key !== undefined && !isSigningKeyText(config.signing_key)) {
    report.at('signing_key').refuse('must be a line such as "ed25519 a_AbCd <43 letters of base64>"');
  }
  const badIds = [
    ...Object.keys(config.old_signing_keys).map((id) => [`old_signing_keys.${id}`, id] as const),
    ...config.trusted_key_servers.flatMap((server, index) =>
      Object.keys(server.verify_keys).map((id) => [`trusted_key_servers[${String(index)}].verify_keys.${id}`, id] as const),
    ),
  ].filter(([, id]) => !/^ed25519:\w+$/u.test(id));
  for (const [path] of badIds) report.at(path).refuse('only ed25519 keys are supported; a key id looks like ed25519:a_AbCd');
  if (config.federation_verify_certificates) return;
  for (const [index, server] of config.trusted_key_servers.entries()) {
    if (Object.keys(server.verify_keys).length > 0 || server.accept_keys_insecurely) continue;
    report
      .at(`trusted_key_servers[${String(index)}]`)
      .refuse(
        'would be trusted blindly, because federation_verify_certificates is false; give its verify_keys, or set accept_keys_insecurely: true',
      );
  }
};
