import { quiet } from './quiet-sdk.ts';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ClientEvent,
  createClient,
  EventType,
  Filter,
  MatrixEventEvent,
  MsgType,
  type MatrixClient,
  type MatrixEvent,
} from 'matrix-js-sdk';
import { CryptoEvent, type CryptoApi, type VerificationRequest } from 'matrix-js-sdk/lib/crypto-api/index.js';
import { ok, personOf, type Person, type Session } from './client.ts';
import type { Server } from './server.ts';

const DEADLINE_MS = 120_000;
const RETRY_MS = 50;
const TIMELINE_LIMIT = 100;

/** Waits until `look` finds something. */
export const eventually = async <Found>(what: string, look: () => Found | undefined | Promise<Found | undefined>): Promise<Found> => {
  for (const start = performance.now(); ; await sleep(RETRY_MS)) {
    const found = await look();
    if (found !== undefined) return found;
    assert.ok(performance.now() - start < DEADLINE_MS, `waited in vain for ${what}`);
  }
};

/** What a user keeps outside of all devices: the key of the secret storage. */
export interface Safe {
  key?: Uint8Array<ArrayBuffer>;
}

/** One device of somebody, with the cryptography of matrix-js-sdk. */
export interface EncryptedDevice extends Disposable {
  readonly person: Person;
  readonly client: MatrixClient;
  readonly crypto: CryptoApi;
  /** The texts that it has decrypted, in whatever order. */
  readonly read: ReadonlySet<string>;
  /** The ids of events that it has not been able to decrypt so far. */
  readonly undecryptable: ReadonlySet<string>;
  /** The types and contents of messages to the device, as they came. */
  readonly received: readonly { readonly type: string; readonly content: Readonly<Record<string, unknown>> }[];
  /** Others who want to verify it, oldest first. */
  readonly requests: readonly VerificationRequest[];
  /** Answers of 500 and above. */
  readonly problems: readonly string[];
  /** Loses the network; what it asks from now on waits. */
  goAway(): void;
  comeBack(): void;
  readonly isAway: () => boolean;
  say(roomId: string, body: string): Promise<string>;
}

/** A network that can be cut, and that asks again for as long as the server is dead, as clients do. */
const createNetwork = (problems: string[]) => {
  let cable = new AbortController();
  let connected = Promise.withResolvers<void>();
  connected.resolve();
  let ended = false;
  const fetchFn: typeof fetch = async (input, init) => {
    for (;;) {
      await connected.promise;
      init?.signal?.throwIfAborted();
      if (ended) throw new TypeError('The device is switched off');
      try {
        const signal = init?.signal ? AbortSignal.any([init.signal, cable.signal]) : cable.signal;
        const response = await fetch(input, { ...init, signal });
        // Read here, so that an answer that is cut off in the middle is asked for again, too.
        const body = await response.arrayBuffer();
        const { status, headers } = response;
        if (status >= 500)
          problems.push(`${init?.method ?? 'GET'} ${input instanceof Request ? input.url : String(input)}: ${String(status)}`);
        return new Response(body, { status, headers });
      } catch {
        await sleep(RETRY_MS);
      }
    }
  };
  return {
    fetchFn,
    cut: () => {
      connected = Promise.withResolvers();
      cable.abort();
    },
    mend: () => {
      cable = new AbortController();
      connected.resolve();
    },
    end: () => {
      ended = true;
      connected.resolve();
      cable.abort();
    },
  };
};

/** Starts a client for a device that is signed in, and waits for its first sync. */
export const startDevice = async (server: Server, person: Person, safe: Safe = {}): Promise<EncryptedDevice> => {
  const { userId, deviceId, accessToken } = person;
  const problems: string[] = [];
  const network = createNetwork(problems);
  const client = createClient({
    baseUrl: server.origin,
    userId,
    deviceId,
    accessToken,
    logger: quiet,
    fetchFn: network.fetchFn,
    cryptoCallbacks: {
      getSecretStorageKey: ({ keys }) => {
        const [keyId] = Object.keys(keys);
        return Promise.resolve(keyId !== undefined && safe.key ? [keyId, safe.key] : null);
      },
    },
  });
  const read = new Set<string>();
  const undecryptable = new Set<string>();
  const received: { type: string; content: Readonly<Record<string, unknown>> }[] = [];
  const requests: VerificationRequest[] = [];
  client.on(MatrixEventEvent.Decrypted, (event: MatrixEvent) => {
    const eventId = event.getId() ?? '';
    if (event.isDecryptionFailure()) {
      undecryptable.add(eventId);
      return;
    }
    undecryptable.delete(eventId);
    const body: unknown = event.getContent()['body'];
    if (typeof body === 'string') read.add(body);
  });
  client.on(ClientEvent.ReceivedToDeviceMessage, ({ message }) => received.push(message));
  client.on(CryptoEvent.VerificationRequestReceived, (request) => requests.push(request));
  await client.initRustCrypto({ useIndexedDB: false });
  const filter = new Filter(userId);
  filter.setTimelineLimit(TIMELINE_LIMIT);
  await client.startClient({ initialSyncLimit: TIMELINE_LIMIT, filter, pollTimeout: 5000 });
  await eventually('the first sync', () => (client.isInitialSyncComplete() ? true : undefined));
  const crypto = client.getCrypto();
  assert.ok(crypto);
  let away = false;
  return {
    person,
    client,
    crypto,
    read,
    undecryptable,
    received,
    requests,
    problems,
    goAway: () => {
      away = true;
      network.cut();
    },
    comeBack: () => {
      away = false;
      network.mend();
    },
    isAway: () => away,
    say: async (roomId, body) => (await client.sendEvent(roomId, EventType.RoomMessage, { msgtype: MsgType.Text, body })).event_id,
    [Symbol.dispose]: () => {
      client.stopClient();
      network.end();
    },
  };
};

/** Signs in on one more device of somebody who has been registered by `server.register`. */
export const signIn = async (server: Server, name: string, deviceId: string): Promise<Person> => {
  const identifier = { type: 'm.id.user', user: name };
  const request = { type: 'm.login.password', identifier, password: `password of ${name}`, device_id: deviceId };
  return personOf(server.pool, ok(await server.anybody.post<Session>('/login', request)));
};

/** Waits until each of the devices is in the room, sees that it is encrypted, and knows all of them. */
export const allKnown = async (devices: readonly EncryptedDevice[], roomId: string): Promise<void> => {
  const users = [...new Set(devices.map(({ person }) => person.userId))];
  for (const { client, crypto, person: self } of devices) {
    await eventually(`${self.deviceId} to see the members`, async () => {
      const room = client.getRoom(roomId);
      if (!room || !(await crypto.isEncryptionEnabledInRoom(roomId))) return undefined;
      return users.every((user) => room.getMember(user)?.membership === 'join') || undefined;
    });
    await eventually(`${self.deviceId} to know the devices`, async () => {
      const known = await crypto.getUserDeviceInfo(users);
      return devices.every(({ person }) => known.get(person.userId)?.has(person.deviceId)) || undefined;
    });
  }
};

/** Waits until each of the devices has decrypted each of the texts. */
export const allRead = async (devices: readonly EncryptedDevice[], bodies: readonly string[]): Promise<void> => {
  for (const { read, person, undecryptable } of devices) {
    await eventually(`${person.deviceId} to read`, () => bodies.every((body) => read.has(body)) || undefined).catch((error: unknown) => {
      const missing = bodies.filter((body) => !read.has(body));
      const place = `${person.deviceId} lacks ${missing.slice(0, 10).join(', ')} (${String(missing.length)})`;
      throw new Error(`${place} and could not decrypt ${[...undecryptable].slice(0, 10).join(', ')}`, { cause: error });
    });
  }
};
