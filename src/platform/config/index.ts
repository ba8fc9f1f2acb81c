export type { RateLimit } from '#src/platform/config/blocks.ts';
export type { Config, Listener, Resource } from '#src/platform/config/derive.ts';
export { ConfigError } from '#src/platform/config/config-error.ts';
export { loadConfig, type ConfigSources, type LoadedConfig, type LoadOptions } from '#src/platform/config/load.ts';
export { parseKeyFile } from '#src/platform/config/key-file.ts';
export { oldSigningKeys, readSigningKeys, type SigningKey } from '#src/platform/config/signing-keys.ts';
export { testConfig } from '#src/platform/config/test-config.ts';
