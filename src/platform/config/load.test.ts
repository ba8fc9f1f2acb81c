import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { actsSomewhere, type RawMap } from '#src/platform/config/blocks.ts';
import { ConfigError, loadConfig, testConfig, type Config, type LoadedConfig, type RateLimit } from '#src/platform/config/index.ts';
import { configManual, configSample } from '#src/platform/config/manual.ts';
import { allKeys, sections } from '#src/platform/config/sections/index.ts';

const BASE = { server_name: 'example.com', report_stats: false, database: { name: 'sqlite3', args: { database: ':memory:' } } };

const load = (values: RawMap, env: Record<string, string> = {}): LoadedConfig =>
  loadConfig({ values: { ...BASE, ...values } }, { cwd: '/srv', env });

const faultsOf = (action: () => unknown): readonly string[] => {
  try {
    action();
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
};

let folder: string;
// In a suite, so that the hooks belong to these tests alone when all files run in one process.
describe('configuration', () => {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'myelin-config-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const file = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };

  const BASE_YAML = 'server_name: example.com\nreport_stats: no\ndatabase_path: ":memory:"\n';

  test('types are precise', () => {
    const config = load({}).config;
    const rate: RateLimit = config.rc_message;
    const name: string = config.server_name;
    const engine: 'sqlite3' | 'psycopg2' = config.database.name;
    const secret: string | undefined = config.registration_shared_secret;
    const types: readonly ('http' | 'metrics' | 'manhole')[] = config.listeners.map(({ type }) => type);
    // @ts-expect-error: a secret may be absent
    const wrong: string = config.registration_shared_secret;
    // @ts-expect-error: there is no such key
    const absent: unknown = config.rc_mesage;
    assert.deepEqual([rate, name, engine, types], [{ per_second: 0.2, burst_count: 10 }, 'example.com', 'sqlite3', []]);
    assert.deepEqual([secret, wrong, absent], [undefined, undefined, undefined]);
  });

  test('defaults that Synapse has', () => {
    const { config, warnings, notActedOn } = load({});
    assert.equal(config.public_baseurl, 'https://example.com/');
    assert.equal(config.public_baseurl_is_set, false);
    assert.equal(config.max_upload_size, 50 * 1024 * 1024);
    assert.equal(config.redaction_retention_period, 7 * 86_400_000);
    assert.equal(config.refreshable_access_token_lifetime, 300_000);
    assert.equal(config.signing_key_path, '/srv/example.com.signing.key');
    assert.equal(config.media_store_path, '/srv/media_store');
    assert.equal(config.ip_range_blacklist.length, 19);
    assert.equal(config.caches.global_factor, 0.5);
    assert.equal(config.presence.enabled, true);
    assert.deepEqual(
      config.trusted_key_servers.map((server) => server.server_name),
      ['matrix.org'],
    );
    assert.deepEqual([warnings, notActedOn], [[], []]);
  });

  test('YAML is read as Python reads it', () => {
    const path = file(
      'homeserver.yaml',
      `${BASE_YAML}
allow_guest_access: yes
enable_search: Off
enable_registration: "false"
user_consent: {template_dir: ${JSON.stringify(folder)}, version: 1.0}
event_cache_size: 1_000
encryption_enabled_by_default_for_room_type: off
registration_shared_secret: y
email: {notif_from: "a@b", notif_delay_before_mail: 1h}
listeners:
  - {type: http, path: ${JSON.stringify(join(folder, 'socket'))}, mode: 0660, resources: [{names: [client]}]}
`,
    );
    const { config } = loadConfig({ paths: [path] }, { cwd: folder });
    assert.equal(config.report_stats, false);
    assert.equal(config.allow_guest_access, true);
    assert.equal(config.enable_search, false);
    assert.equal(config.enable_registration, false);
    assert.equal(config.user_consent?.version, '1.0');
    assert.equal(config.event_cache_size, 1000);
    assert.equal(config.encryption_enabled_by_default_for_room_type, 'off');
    assert.equal(config.registration_shared_secret, 'y');
    assert.equal(config.email?.notif_delay_before_mail, 3_600_000);
    assert.equal(config.listeners[0]?.mode, 0o660);
    assert.equal(config.listeners[0]?.x_forwarded, true);
  });

  test('files are merged key by key, folders are read in order', () => {
    const first = file(
      'homeserver.yaml',
      `${BASE_YAML}rc_joins: {local: {per_second: 5}, remote: {per_second: 6}}\nenable_search: false\n`,
    );
    mkdirSync(join(folder, 'conf.d'));
    file('conf.d/20-last.yaml', 'enable_search: true\n');
    file('conf.d/10-first.yaml', 'enable_search: false\nrc_joins: {local: {per_second: 7}}\n');
    file('conf.d/notes.txt', 'enable_search: wrong\n');
    file('conf.d/30-list.yaml', '- a list\n');
    const { config, warnings } = loadConfig({ paths: [first, join(folder, 'conf.d')] });
    assert.equal(config.enable_search, true);
    assert.deepEqual(config.rc_joins, { local: { per_second: 7, burst_count: 10 }, remote: { per_second: 0.01, burst_count: 10 } });
    assert.equal(config.config_directory, join(folder, 'conf.d'));
    assert.deepEqual(
      warnings.map((warning) => warning.replace(`${folder}/conf.d/`, '')),
      ['notes.txt: is skipped, because it is not a file with a name in .yaml', '30-list.yaml: is skipped, because it does not hold a map'],
    );
  });

  test('all faults are shown at once, one a line, with file and line', () => {
    const path = file(
      'homeserver.yaml',
      `${BASE_YAML}bcrypt_rounds: twelve
max_upload_size: 50X
rc_message:
  per_second: -1
listeners:
  - port: eighty
    type: replication
    resources: [{names: [clients]}]
form_secret: 12345
enable_registration: true
`,
    );
    const faults = faultsOf(() => loadConfig({ paths: [path] })).map((fault) => fault.replace(`${folder}/`, ''));
    assert.deepEqual(faults, [
      'homeserver.yaml:9: listeners[0].port: found "eighty"; must be a whole number from 0 to 65535',
      'homeserver.yaml:10: listeners[0].type: found "replication"; workers talk over Redis since Synapse 1.67: remove this listener and set redis.enabled: true',
      `homeserver.yaml:11: listeners[0].resources[0].names[0]: found "clients"; must be one of client, consent, federation, health, keys, media, metrics, openid, replication, static`,
      'homeserver.yaml:4: bcrypt_rounds: found "twelve"; must be a whole number from 4 to 31',
      'homeserver.yaml:7: rc_message.per_second: found -1; must be a number of at least 0',
      'homeserver.yaml:5: max_upload_size: found "50X"; must be a size such as 1024, 10K, 50M or 1G',
      'homeserver.yaml:12: form_secret: found a number; must be text (put it in quotes)',
      'homeserver.yaml:13: enable_registration: lets anybody register without verification, which spammers use; set registration_requires_token: true (or enable_registration_captcha, or registrations_require_3pid), or enable_registration_without_verification: true if that is what you want',
    ]);
  });

  test('what is not YAML, and what cannot be read, is a fault', () => {
    const broken = file('broken.yaml', 'server_name: [a\nb: c\n');
    const faults = faultsOf(() => loadConfig({ paths: [broken, join(folder, 'absent.yaml')] }));
    assert.match(faults[0] ?? '', /broken\.yaml:\d+: is not valid YAML: /u);
    assert.match(faults.at(-1) ?? '', /absent\.yaml: cannot be read: ENOENT/u);
  });

  test('what Synapse refuses is refused with the way out', () => {
    const refusals: readonly (readonly [RawMap, RegExp])[] = [
      [{ server_name: undefined }, /^server_name: is missing; it is the domain in all user ids/u],
      [{ server_name: 'exa mple.com' }, /^server_name: found "exa mple\.com"; must be a server name/u],
      [{ report_stats: null }, /^report_stats: is missing; decide .* report_stats: false/u],
      [{ database: undefined }, /^database: is missing; name the engine/u],
      [{ database: { name: 'mysql' } }, /^database\.name: found "mysql"; must be one of sqlite3, psycopg2/u],
      [{ databases: { a: {} } }, /^databases: cannot be set together with database;/u],
      [{ enable_registration: true }, /^enable_registration: lets anybody register .* enable_registration_without_verification: true/u],
      [{ worker_replication_port: 9092 }, /^worker_replication_port: was removed in Synapse 1\.67; .* redis\.enabled: true/u],
      [{ account_threepid_delegates: { email: 'https://is' } }, /^account_threepid_delegates\.email: was removed .* email section/u],
      [{ listeners: [{ port: 1, type: 'webclient' }] }, /^listeners\[0\]\.type: .* web_client_location/u],
      [{ listeners: [{ port: 1, type: 'http', tls: true }] }, /^listeners\[0\]\.tls: needs tls_certificate_path/u],
      [{ listeners: [{ type: 'http' }] }, /^listeners\[0\]: needs either a port or a path/u],
      [{ listeners: [{ port: 1 }] }, /^listeners\[0\]\.type: is missing; must be one of http, metrics, manhole/u],
      [{ listeners: 8008 }, /^listeners: found 8008; must be a list of maps/u],
      [{ log_file: '/x' }, /^log_file: was removed from Synapse; set log_config/u],
      [{ web_client_location: '/x' }, /^web_client_location: found "\/x"; must be a URL/u],
      [{ public_baseurl: 'https://a/?b' }, /^public_baseurl: must have neither a query/u],
      [{ default_room_version: '99' }, /^default_room_version: found "99"; must be a room version: 1, 2,/u],
      [
        { restrict_public_rooms_to_local_users: true, allow_public_rooms_without_auth: true },
        /cannot be true while allow_public_rooms_without_auth is/u,
      ],
      [{ retention: { allowed_lifetime_min: '2d', allowed_lifetime_max: '1d' } }, /^retention\.allowed_lifetime_min: must not be longer/u],
      [{ rc_federation: { windowsize: 1 } }, /^rc_federation\.windowsize: there is no such key; did you mean window_size\?/u],
      [{ session_lifetime: '1h', refresh_token_lifetime: '2h' }, /^refresh_token_lifetime: must not be longer than session_lifetime/u],
      [
        { registration_shared_secret: 'a', registration_shared_secret_path: '/nowhere' },
        /^registration_shared_secret_path: registration_shared_secret is set too/u,
      ],
      [{ form_secret_path: '/nowhere/at/all' }, /^form_secret_path: cannot be read: ENOENT/u],
      [{ worker_app: 'synapse.app.generic_worker' }, /^worker_app: this is the main process/u],
      [{ ip_range_blacklist: ['10.0.0.0/99'] }, /^ip_range_blacklist\[0\]: found "10\.0\.0\.0\/99"; must be an IP address or a range/u],
      [{ trusted_key_servers: [{}] }, /^trusted_key_servers\[0\]\.server_name: is missing/u],
      [{ signing_key: 'ed25519 a_b nonsense' }, /^signing_key: must be a line such as/u],
      [{ email: {} }, /^email: needs notif_from/u],
      [{ invite_3pid_guest: true }, /^invite_3pid_guest: found true; must be left out/u],
      [{ trust_identity_server_for_password_resets: true }, /^trust_identity_server_for_password_resets: found true; must be left out/u],
      [{ experimental_features: { msc3890_enabled: true } }, /needs msc3391_enabled: true/u],
      [{ auto_join_rooms: ['general'] }, /^auto_join_rooms\[0\]: found "general"; must be a room alias/u],
      [{ url_preview_enabled: true }, /^url_preview_enabled: needs url_preview_ip_range_blacklist/u],
      [{ stream_writers: { events: 'persister1' } }, /^stream_writers\.events: names persister1, which is not in instance_map/u],
    ];
    for (const [values, expected] of refusals) {
      const faults = faultsOf(() => load(values));
      assert.ok(
        faults.some((fault) => expected.test(fault)),
        `${JSON.stringify(values)} should be refused with ${String(expected)}; got ${faults.join(' | ')}`,
      );
      for (const fault of faults) assert.doesNotMatch(fault, /\n/u);
    }
  });

  test('unknown keys are warnings with the nearest name', () => {
    const { warnings } = load({
      enable_registratoin: true,
      zzzzzz: 1,
      rc_login: { adress: { per_second: 1 } },
      experimental_features: { msc3967_enabled: true },
    });
    assert.deepEqual(warnings, [
      'rc_login.adress: there is no such key; did you mean address?',
      'experimental_features.msc3967_enabled: there is no such key',
      'enable_registratoin: there is no such key; did you mean enable_registration?',
      'zzzzzz: there is no such key',
    ]);
  });

  test('keys without effect are listed once, by the outermost block', () => {
    const { notActedOn } = load({
      opentracing: { enabled: false, jaeger_config: { logging: true } },
      listeners: [
        { port: 1, type: 'http', additional_resources: {} },
        { port: 2, type: 'http', additional_resources: {} },
      ],
      bcrypt_rounds: 12,
    });
    assert.deepEqual(notActedOn, ['listeners[].additional_resources', 'opentracing']);
  });

  test('older keys are folded into those of today', () => {
    const { config } = load({
      rc_messages_per_second: 3,
      disable_registration: true,
      enable_registration: true,
      use_presence: false,
      metrics_port: 9000,
      bind_port: 8448,
      tls_certificate_path: 'c',
      tls_private_key_path: 'k',
    });
    assert.deepEqual(config.rc_message, { per_second: 3, burst_count: 10 });
    assert.equal(config.enable_registration, false);
    assert.equal(config.presence.enabled, false);
    assert.deepEqual(
      config.listeners.map(({ port, tls, bind_addresses: addresses }) => [port, tls, addresses]),
      [
        [8448, true, ['::', '0.0.0.0']],
        [8048, false, ['::', '0.0.0.0']],
        [9000, false, ['127.0.0.1']],
      ],
    );
    assert.equal(config.tls_certificate_path, '/srv/c');
  });

  test('of several databases the one with main is used', () => {
    const args = { database: 'main', cp_max: 10, target_session_attrs: 'any' };
    const { config } = loadConfig({
      values: {
        ...BASE,
        database: undefined,
        databases: {
          one: { name: 'psycopg2', args, data_stores: ['main'] },
          two: { name: 'psycopg2', args: { database: 'state' }, data_stores: ['state'] },
        },
      },
    });
    assert.deepEqual(
      [config.database.args.database, config.database.args.cp_max, config.database.args.rest],
      ['main', 10, { target_session_attrs: 'any' }],
    );
  });

  test('secrets come from files, the cache factor from the environment', () => {
    const path = file('secret', '  from a file\n');
    const { config } = load({ macaroon_secret_key_path: path }, { SYNAPSE_CACHE_FACTOR: '2' });
    assert.equal(config.macaroon_secret_key, 'from a file');
    assert.equal(config.caches.global_factor, 2);
    assert.match(faultsOf(() => load({}, { SYNAPSE_CACHE_FACTOR: 'big' }))[0] ?? '', /SYNAPSE_CACHE_FACTOR is big; must be a number/u);
  });

  test('the sample, with every key uncommented, says what the defaults are', () => {
    const text = configSample().replaceAll(/^#(?=\w|  )/gmu, '');
    const path = file('sample.yaml', text);
    const options = { cwd: '/srv', env: {}, configDirectory: '/srv', overrides: { database_path: ':memory:' } };
    const { config, warnings } = loadConfig({ paths: [path] }, options);
    const expected = loadConfig({ values: { server_name: 'localhost', report_stats: false } }, options).config;
    assert.deepEqual(config, expected);
    assert.deepEqual(warnings, []);
  });

  test('docs are up to date (npm exec -- node scripts/generate-config-docs.ts)', () => {
    const docs = new URL('../../../docs/', import.meta.url);
    assert.equal(readFileSync(new URL('configuration.md', docs), 'utf8'), configManual());
    assert.equal(readFileSync(new URL('homeserver.sample.yaml', docs), 'utf8'), configSample());
  });

  test('every key has a sentence, and no key stands in two sections', () => {
    const names = sections.flatMap(({ keys }) => Object.keys(keys));
    assert.equal(new Set(names).size, names.length);
    for (const [name, { text }] of Object.entries(allKeys)) assert.match(text, /^[\p{Lu}`].*\.$/u, name);
    assert.ok(Object.values(allKeys).some(actsSomewhere));
  });

  test('whatever a key holds, it is read or reported, never thrown over', () => {
    const names = Object.keys(allKeys);
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 5 }), (values) => {
        faultsOf(() => load(values));
      }),
      { numRuns: 500 },
    );
  });

  test('a configuration for tests takes overrides as a file would hold them', () => {
    const config: Config = testConfig({
      refreshable_access_token_lifetime: '1m',
      listeners: [{ port: 0, type: 'http', resources: [{ names: ['client'] }] }],
    });
    assert.equal(config.refreshable_access_token_lifetime, 60_000);
    assert.equal(config.listeners[0]?.port, 0);
  });
});
