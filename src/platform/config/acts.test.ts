import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { actsSomewhere } from '#src/platform/config/blocks.ts';
import { allKeys } from '#src/platform/config/sections/index.ts';

const SOURCES = new URL('../../', import.meta.url);

/** Older keys and keys for files, and the key into which they are folded when the configuration is read. */
const FOLDED: Readonly<Record<string, string>> = {
  no_tls: 'listeners',
  bind_port: 'listeners',
  bind_host: 'listeners',
  unsecure_port: 'listeners',
  metrics_port: 'listeners',
  metrics_bind_host: 'listeners',
  databases: 'database',
  database_path: 'database',
  disable_registration: 'enable_registration',
  registration_shared_secret_path: 'registration_shared_secret',
  allow_underscore_prefixed_registration: 'allow_underscore_prefixed_localpart',
  rc_messages_per_second: 'rc_message',
  rc_message_burst_count: 'rc_message',
  turn_shared_secret_path: 'turn_shared_secret',
  use_presence: 'presence',
};

/** Keys with which the reading itself does all there is to do. */
const DONE_HERE = [
  'signing_key',
  'signing_key_path',
  'old_signing_keys',
  'suppress_key_server_warning',
  'report_stats',
  'worker_app',
  'invite_3pid_guest',
  'trust_identity_server_for_password_resets',
  'no_redirect_stdio',
];

/** Keys that are only asked for so as to refuse, or to show, what they want. */
const NOT_DONE = ['enable_3pid_changes', 'registrations_require_3pid', 'enable_registration_captcha', 'user_consent', 'pid_file'];

/** It says what is wrong with a configuration, and acts on nothing. */
const ADVISER = 'cli/doctor.ts';

const names = (text: string): string[] => text.match(/\w+/gu) ?? [];

/** The keys, with those inside after a dot, that a file reads of a configuration, by the few ways in which that is written. */
const readsIn = (source: string): string[] => [
  ...source.matchAll(/\b(?:config|changed|next)\??\.(\w+(?:\.\w+)?)/gu).map(([, path = '']) => path),
  ...source.matchAll(/\bPick<\s*Config,([^>]*)>/gu).flatMap(([, list = '']) => names(list)),
  ...source.matchAll(/\{([^{}]*)\} = config;/gu).flatMap(([, list = '']) => list.split(',').flatMap((each) => names(each).slice(0, 1))),
];

const readKeys = (): ReadonlySet<string> => {
  const files = globSync('**/*.ts', { cwd: SOURCES.pathname }).filter(
    (file) => !file.startsWith('platform/config/') && !file.endsWith('.test.ts') && file !== ADVISER,
  );
  return new Set(files.flatMap((file) => readsIn(readFileSync(new URL(file, SOURCES), 'utf8'))));
};

test('the keys that are read are those that count as acted on', () => {
  const read = readKeys();
  const acting = Object.keys(allKeys).filter((name) => allKeys[name] !== undefined && actsSomewhere(allKeys[name]));
  const topLevel = new Set([...read].map((path) => path.split('.', 1)[0] ?? '').filter((name) => Object.hasOwn(allKeys, name)));
  const done = [...topLevel].filter((name) => !NOT_DONE.includes(name));
  const folded = Object.keys(FOLDED).filter((name) => topLevel.has(FOLDED[name] ?? ''));
  assert.deepEqual(acting.toSorted(), [...done, ...folded, ...DONE_HERE].toSorted());
  assert.deepEqual(
    NOT_DONE.filter((name) => !topLevel.has(name)),
    [],
    'no longer asked for',
  );
});

test('what is read inside a block counts as acted on as well', () => {
  const unmarked = [...readKeys()].filter((path) => {
    const [outer = '', inner = ''] = path.split('.');
    const block = Object.hasOwn(allKeys, outer) ? allKeys[outer] : undefined;
    const key = block?.kind.children?.[inner];
    return block !== undefined && key !== undefined && !block.acts && !actsSomewhere(key) && !NOT_DONE.includes(outer);
  });
  assert.deepEqual(unmarked, []);
});
