// Three people with three devices each and the cryptography of matrix-js-sdk: whatever befalls the server, nobody is unable to decrypt.
// The server is killed and started again between every two steps.

import assert from 'node:assert/strict';
import { eventually, allKnown, allRead, signIn, startDevice, type EncryptedDevice, type Safe } from './support/encrypted-device.ts';
import { KnownMembership, MatrixError, Preset, type IContent } from 'matrix-js-sdk';
import type { UIAuthCallback } from 'matrix-js-sdk/lib/interactive-auth.js';
import { ok, type Person } from './support/client.ts';
import { verifyByEmoji } from './support/emoji.ts';
import { onEachEngine } from './support/engines.ts';
import type { Server } from './support/server.ts';

const LONG = process.env['MYELIN_LONG'] === '1';
/** Messages that wait for a device that is away: all of them, and in how many sequences side by side. */
const [WAITING, LANES] = [LONG ? 10_000 : 400, 10];

const ALGORITHM = 'm.megolm.v1.aes-sha2';

interface World {
  readonly server: Server;
  /** By name, such as `alice1`. */
  readonly devices: Map<string, EncryptedDevice>;
  readonly people: Map<string, Person>;
  readonly safes: Map<string, Safe>;
  /** What has been said in the room to all who are in it. */
  readonly said: string[];
  roomId: string;
}

const device = ({ devices }: World, name: string): EncryptedDevice => {
  const found = devices.get(name);
  assert.ok(found, name);
  return found;
};

const register = async (world: World, user: string): Promise<void> => {
  const person = await world.server.register(user);
  world.people.set(user, person);
  const safe: Safe = {};
  world.safes.set(user, safe);
  world.devices.set(`${user}1`, await startDevice(world.server, person, safe));
};

const another = async (world: World, name: string): Promise<EncryptedDevice> => {
  const user = name.slice(0, -1);
  const started = await startDevice(world.server, await signIn(world.server, user, name.toUpperCase()), world.safes.get(user));
  world.devices.set(name, started);
  return started;
};

/** Each of the devices says something, and all of them read it. */
const conversation = async (world: World, names: readonly string[], word: string): Promise<void> => {
  const devices = names.map((name) => device(world, name));
  await allKnown(devices, world.roomId);
  for (const [index, each] of devices.entries()) {
    const body = `${word} from ${names[index] ?? ''}`;
    await each.say(world.roomId, body);
    world.said.push(body);
    await allRead(
      devices.filter((other) => other !== each),
      [body],
    );
  }
};

/** Uploads without confirming; that it is asked for is a failure. */
const unasked: UIAuthCallback<void> = (makeRequest) => makeRequest(null);

const bootstrapped = async (world: World, user: string): Promise<void> => {
  const { crypto } = device(world, `${user}1`);
  await crypto.bootstrapCrossSigning({ authUploadDeviceSigningKeys: unasked });
  const recovery = await crypto.createRecoveryKeyFromPassphrase();
  const safe = world.safes.get(user);
  assert.ok(safe);
  safe.key = recovery.privateKey;
  await crypto.bootstrapSecretStorage({
    createSecretStorageKey: () => Promise.resolve(recovery),
    setupNewSecretStorage: true,
    setupNewKeyBackup: true,
  });
  assert.ok(await crypto.isCrossSigningReady());
  assert.ok(await crypto.isSecretStorageReady());
};

const sessionIdOf = async ({ person }: EncryptedDevice, roomId: string, eventId: string): Promise<string> => {
  const { content } = ok(
    await person.get<{ content: IContent }>(`/rooms/${encodeURIComponent(roomId)}/event/${encodeURIComponent(eventId)}`),
  );
  return String(content['session_id']);
};

const backedUp = async (world: World): Promise<number> => {
  const { person, crypto } = device(world, 'alice1');
  return eventually('the backup', async () => {
    const { count } = ok(await person.get<{ count: number }>('/room_keys/version'));
    return count > 0 && count === (await crypto.exportRoomKeys()).length ? count : undefined;
  });
};

/** Messages to a device wait while it is away, among them the keys of four sessions; and they come in order. */
const away = async (world: World): Promise<void> => {
  const [sender, absent] = [device(world, 'alice1'), device(world, 'bob2')];
  absent.goAway();
  const { userId, deviceId } = absent.person;
  const bodies: string[] = [];
  for (let part = 0; part < 4; part++) {
    const send = async (lane: number): Promise<void> => {
      for (let number = 0; number < WAITING / LANES / 4; number++) {
        const transaction = `noise-${String(part)}-${String(lane)}-${String(number)}`;
        const content = { lane, number: (part * WAITING) / LANES / 4 + number };
        ok(await sender.person.put(`/sendToDevice/com.example.noise/${transaction}`, { messages: { [userId]: { [deviceId]: content } } }));
      }
    };
    await Promise.all(Array.from({ length: LANES }, (_, lane) => send(lane)));
    await sender.crypto.forceDiscardSession(world.roomId);
    const body = `while you were away ${String(part)}`;
    await sender.say(world.roomId, body);
    bodies.push(body);
  }
  world.said.push(...bodies);
};

const back = async (world: World): Promise<void> => {
  const absent = device(world, 'bob2');
  absent.comeBack();
  const noise = (): { lane: number; number: number }[] =>
    absent.received.filter(({ type }) => type === 'com.example.noise').map(({ content }) => content as { lane: number; number: number });
  await eventually('all that waited', () => (noise().length >= WAITING ? true : undefined));
  const expected = Array.from({ length: WAITING / LANES }, (_, number) => number);
  for (let lane = 0; lane < LANES; lane++) {
    assert.deepEqual(
      noise()
        .filter((each) => each.lane === lane)
        .map(({ number }) => number),
      expected,
    );
  }
  await allRead(
    [...world.devices.values()].filter((each) => each !== device(world, 'alice1')),
    world.said.filter((body) => body.startsWith('while')),
  );
};

const left = async (world: World): Promise<void> => {
  const [alice, bob, carol] = [device(world, 'alice1'), device(world, 'bob1'), device(world, 'carol1')];
  const before = await sessionIdOf(alice, world.roomId, await alice.say(world.roomId, 'before Carol leaves'));
  await allRead([carol, bob], ['before Carol leaves']);
  await carol.client.leave(world.roomId);
  for (const { client } of [alice, bob]) {
    const member = (): string | undefined => client.getRoom(world.roomId)?.getMember(carol.person.userId)?.membership;
    await eventually('the leave', () => (member() === 'leave' ? true : undefined));
  }
  const eventId = await alice.say(world.roomId, 'without Carol');
  const session = await sessionIdOf(alice, world.roomId, eventId);
  assert.notEqual(session, before);
  await allRead(
    ['alice2', 'alice3', 'bob1', 'bob2', 'bob3'].map((name) => device(world, name)),
    ['without Carol'],
  );
  // Back in the room Carol may see the event, but she has never been given its key.
  const carols = ['carol1', 'carol2', 'carol3'].map((name) => device(world, name));
  await carol.client.joinRoom(world.roomId);
  await allKnown([alice, bob, ...carols], world.roomId);
  for (const { crypto } of carols) {
    const keys = await crypto.exportRoomKeys();
    assert.ok(keys.some(({ session_id }) => session_id === before));
    assert.ok(!keys.some(({ session_id }) => session_id === session));
  }
  // The session is shared with her from here on, and not from its beginning.
  await alice.say(world.roomId, 'welcome back');
  await allRead([bob, ...carols], ['welcome back']);
  for (const { client, read } of carols) {
    const event = client.getEventMapper({ decrypt: false })(await client.fetchRoomEvent(world.roomId, eventId));
    assert.equal(event.getWireType(), 'm.room.encrypted');
    await client.decryptEventIfNeeded(event);
    assert.ok(event.isDecryptionFailure() && !read.has('without Carol'));
  }
};

const reset = async (world: World): Promise<void> => {
  const [alice, bob] = [device(world, 'alice1'), device(world, 'bob1')];
  let asked = 0;
  await bob.crypto.resetEncryption(async (makeRequest) => {
    const refusal: unknown = await makeRequest(null).catch((error: unknown) => error);
    assert.ok(refusal instanceof MatrixError && refusal.httpStatus === 401, String(refusal));
    asked++;
    const identifier = { type: 'm.id.user', user: 'bob' };
    await makeRequest({ type: 'm.login.password', identifier, password: 'password of bob', session: String(refusal.data['session']) });
  });
  assert.equal(asked, 1);
  assert.ok(await bob.crypto.isCrossSigningReady());
  // Alice had verified who Bob was; she hears that he is somebody else now.
  await eventually('the other identity', async () => {
    const status = await alice.crypto.getUserVerificationStatus(bob.person.userId);
    return (status.wasCrossSigningVerified() && !status.isCrossSigningVerified()) || undefined;
  });
};

const FIRST = ['alice1', 'bob1', 'carol1'];
const SECOND = ['alice2', 'bob2', 'carol2'];
const ALL = [...FIRST, ...SECOND, 'alice3', 'bob3', 'carol3'];

const STEPS: readonly [name: string, step: (world: World) => Promise<void>][] = [
  [
    'three people begin',
    async (world) => {
      for (const user of ['alice', 'bob', 'carol']) await register(world, user);
    },
  ],
  [
    'they publish who they are',
    async (world) => {
      for (const user of ['alice', 'bob', 'carol']) await bootstrapped(world, user);
    },
  ],
  [
    'they meet',
    async (world) => {
      const [alice, bob, carol] = FIRST.map((name) => device(world, name));
      assert.ok(alice && bob && carol);
      const { room_id: roomId } = await alice.client.createRoom({
        preset: Preset.PublicChat,
        initial_state: [{ type: 'm.room.encryption', state_key: '', content: { algorithm: ALGORITHM } }],
      });
      world.roomId = roomId;
      for (const { client } of [bob, carol]) await client.joinRoom(roomId);
    },
  ],
  ['they talk', (world) => conversation(world, FIRST, 'hello')],
  ['keys are backed up', async (world) => void (await backedUp(world))],
  [
    'each has a second device',
    async (world) => {
      for (const name of SECOND) await another(world, name);
    },
  ],
  [
    'two devices of one person verify each other',
    async (world) => {
      const [old, fresh] = [device(world, 'alice1'), device(world, 'alice2')];
      await verifyByEmoji(await fresh.crypto.requestOwnUserVerification(), old);
      await eventually('the signature', async () => {
        const status = await old.crypto.getDeviceVerificationStatus(fresh.person.userId, fresh.person.deviceId);
        return status?.crossSigningVerified || undefined;
      });
      // The private keys come from the other device, as messages to this one.
      await eventually('the secrets', async () => (await fresh.crypto.isCrossSigningReady()) || undefined);
    },
  ],
  [
    'two people verify each other in the room',
    async (world) => {
      const [alice, bob] = [device(world, 'alice1'), device(world, 'bob1')];
      await allKnown([alice, bob], world.roomId);
      await verifyByEmoji(await alice.crypto.requestVerificationDM(bob.person.userId, world.roomId), bob);
      for (const [one, other] of [
        [alice, bob],
        [bob, alice],
      ] as const) {
        await eventually('the signature', async () => {
          const status = await one.crypto.getUserVerificationStatus(other.person.userId);
          return status.isCrossSigningVerified() || undefined;
        });
      }
    },
  ],
  [
    'a third device restores the backup',
    async (world) => {
      const count = await backedUp(world);
      const third = await another(world, 'alice3');
      await third.crypto.bootstrapCrossSigning({
        authUploadDeviceSigningKeys: () => Promise.reject(new Error('There are keys already')),
      });
      await third.crypto.loadSessionBackupPrivateKeyFromSecretStorage();
      assert.ok(await third.crypto.checkKeyBackupAndEnable());
      const { total, imported } = await third.crypto.restoreKeyBackup();
      assert.deepEqual([total, imported], [count, count]);
      await allRead([third], world.said);
      for (const name of ['bob3', 'carol3']) await another(world, name);
    },
  ],
  ['nine devices talk', (world) => conversation(world, ALL, 'good day')],
  ['messages wait for a device that is away', away],
  ['it comes back', back],
  ['one of them leaves', left],
  ['somebody starts over', reset],
  ['they talk still', (world) => conversation(world, ALL, 'goodbye')],
];

/** Plays all steps; the server is killed after those that are told. */
const play = async (server: Server, killedAfter: (step: number) => boolean): Promise<void> => {
  const world: World = { server, devices: new Map(), people: new Map(), safes: new Map(), said: [], roomId: '' };
  try {
    for (const [index, [name, step]] of STEPS.entries()) {
      await step(world).catch((error: unknown) => {
        throw new Error(`${name}: ${String(error)}`, { cause: error });
      });
      if (!killedAfter(index)) continue;
      await server.kill();
      await server.start();
    }
    for (const { client, problems } of world.devices.values()) {
      assert.deepEqual(problems, []);
      assert.equal(client.getRoom(world.roomId)?.getMyMembership(), KnownMembership.Join);
    }
  } finally {
    for (const each of world.devices.values()) each[Symbol.dispose]();
  }
};

onEachEngine('nobody is unable to decrypt when the server is killed after every step', async (startOnEngine) => {
  await using server = await startOnEngine();
  await play(server, () => true);
});

if (LONG) {
  for (const [index, [name]] of STEPS.entries()) {
    onEachEngine(`the server is killed after: ${name}`, async (startOnEngine) => {
      await using server = await startOnEngine();
      await play(server, (step) => step === index);
    });
  }
}
