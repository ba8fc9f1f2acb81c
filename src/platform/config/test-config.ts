import type { Config } from '#src/platform/config/derive.ts';
import { loadConfig } from '#src/platform/config/load.ts';

/** Any value that a file could hold, under the names of known keys. */
export type ConfigOverrides = { readonly [Name in keyof Config]?: unknown };

/**
 * A configuration for tests: the defaults, a database in memory, a fixed signing key, cheap password hashes and no listeners.
 * `overrides` are written as in homeserver.yaml.
 */
export const testConfig = (overrides: ConfigOverrides = {}): Config =>
  loadConfig(
    {
      values: {
        server_name: 'test',
        report_stats: false,
        database: { name: 'sqlite3', args: { database: ':memory:' } },
        signing_key: `ed25519 a_test ${'A'.repeat(42)}E`,
        registration_shared_secret: 'test-registration-secret',
        macaroon_secret_key: 'test-macaroon-secret',
        form_secret: 'test-form-secret',
        bcrypt_rounds: 4,
        suppress_key_server_warning: true,
        ...overrides,
      },
    },
    { env: {} },
  ).config;
