// The cryptography of matrix-js-sdk, as it comes from npm, finds what it needs to start.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { quiet } from './support/quiet-sdk.ts';
import { createClient, type MatrixClient } from 'matrix-js-sdk';
import { ok, type Person } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';
import type { Server } from './support/server.ts';

const DEADLINE_MS = 20_000;
/** What the client holds ready on the server. */
const ONE_TIME_KEYS = 50;

const startClient = async (server: Server, person: Person): Promise<MatrixClient> => {
  const { userId, deviceId, accessToken } = person;
  const client = createClient({ baseUrl: server.origin, userId, deviceId, accessToken, logger: quiet });
  await client.initRustCrypto({ useIndexedDB: false });
  await client.startClient();
  return client;
};

/** Waits until the client has published its keys. */
const published = async (person: Person): Promise<void> => {
  for (const start = performance.now(); ; await sleep(50)) {
    const { one_time_key_counts: counts } = ok(await person.post<{ one_time_key_counts: Record<string, number> }>('/keys/upload', {}));
    if (counts['signed_curve25519'] === ONE_TIME_KEYS) return;
    assert.ok(performance.now() - start < DEADLINE_MS, `still ${JSON.stringify(counts)}`);
  }
};

onEachEngine('a client with encryption publishes its keys and finds those of others', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const clients = [await startClient(server, alice), await startClient(server, bob)] as const;
  try {
    await Promise.all([published(alice), published(bob)]);
    const [alices, bobs] = clients.map((client) => client.getCrypto());
    assert.ok(alices && bobs);
    const seen = (await alices.getUserDeviceInfo([bob.userId], true)).get(bob.userId)?.get(bob.deviceId);
    const { ed25519, curve25519 } = await bobs.getOwnDeviceKeys();
    // The client keeps no device whose signature is wrong.
    assert.deepEqual([seen?.getFingerprint(), seen?.getIdentityKey()], [ed25519, curve25519]);
  } finally {
    for (const client of clients) client.stopClient();
  }
});
