// Requests of every kind to the endpoints of accounts and rooms, with the answers of real Synapse beside them (`test/endpoints/`), and by name where
// Myelin answers otherwise on purpose. Where Synapse is installed, it is asked as well, so that the tables stay true.
// With MYELIN_RECORD_ENDPOINTS=1, Synapse's answers are written into the tables.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Json } from './support/client.ts';
import { differences, type EndpointTable, readTable, record } from './support/endpoint-table.ts';
import { onEachEngine } from './support/engines.ts';
import { hasSynapse, NO_SYNAPSE, type Server, startServer } from './support/server.ts';

const FOLDER = join(import.meta.dirname, 'endpoints');
const ONLY = process.env['MYELIN_ENDPOINTS'];
const tables = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.txt') && (ONLY === undefined || name.includes(ONLY)))
  .map((name) => readTable(join(FOLDER, name)));

const SETTINGS: Json = {
  default_room_version: '11',
  allow_guest_access: true,
  refreshable_access_token_lifetime: '5m',
  login_via_existing_session: { enabled: true, require_ui_auth: true },
  turn_uris: ['turn:turn.test.example'],
  turn_shared_secret: 'turn',
  serve_server_wellknown: true,
  room_list_publication_rules: [{ action: 'allow' }],
  public_baseurl: 'https://test.example/',
};

type Start = (settings: Json) => Promise<Server>;

/** Goes through all tables, those without settings of their own on one server; one server after the other, as they may share a database. */
const walk = async (start: Start, visit: (table: EndpointTable, server: Server) => Promise<readonly string[]>): Promise<void> => {
  const found: string[] = [];
  const groups = Map.groupBy(tables, ({ settings }) => settings);
  for (const [settings, group] of groups) {
    await using server = await start({ ...SETTINGS, ...settings });
    for (const table of group) found.push(...(await visit(table, server)).map((each) => `${table.path.slice(FOLDER.length + 1)}:${each}`));
    await server.stop();
  }
  assert.ok(found.length === 0, `${String(found.length)} differences:\n${found.join('\n')}`);
};

onEachEngine('Myelin answers as the tables say', async (startOnEngine) => {
  await walk(
    (settings) => startOnEngine({ settings }),
    (table, server) => differences(table, server, 'myelin'),
  );
});

test('Synapse answers as the tables say', { skip: hasSynapse ? false : NO_SYNAPSE }, async () => {
  await walk(
    (settings) => startServer({ settings, program: 'synapse' }),
    async (table, server) => {
      if (process.env['MYELIN_RECORD_ENDPOINTS'] === undefined) return differences(table, server, 'synapse');
      await record(table, server);
      return [];
    },
  );
});
