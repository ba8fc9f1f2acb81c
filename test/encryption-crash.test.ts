// Nine devices of three people talk in an encrypted room while the server is killed and restarted at any moment, devices lose the network
// and come back, and keys are changed: of all that is said nothing stays undecryptable.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { allKnown, allRead, signIn, startDevice, type EncryptedDevice } from './support/encrypted-device.ts';
import { Preset } from 'matrix-js-sdk';
import { onEachEngine } from './support/engines.ts';
import type { Server } from './support/server.ts';

const LONG = process.env['MYELIN_LONG'] === '1';
const MESSAGES = LONG ? 10_000 : 200;
/** How many are said by how many devices at the same time, between two looks at what happens next. */
const [BURST, SPEAKERS] = [20, 4];
/** So that no gap hides what was said meanwhile. */
const AWAY_BURSTS = 3;

/** Numbers from 0 to below `limit`, always the same for the same seed (mulberry32). */
const dice = (seed: number): ((limit: number) => number) => {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
};

const nineDevices = async (server: Server, devices: EncryptedDevice[]): Promise<void> => {
  for (const user of ['alice', 'bob', 'carol']) {
    devices.push(await startDevice(server, await server.register(user)));
    for (const number of [2, 3])
      devices.push(await startDevice(server, await signIn(server, user, `${user}${String(number)}`.toUpperCase())));
  }
};

const encryptedRoom = async (devices: readonly EncryptedDevice[]): Promise<string> => {
  const [creator, ...others] = devices.filter((_, index) => index % 3 === 0);
  assert.ok(creator);
  const content = { algorithm: 'm.megolm.v1.aes-sha2', rotation_period_msgs: 20, rotation_period_ms: 604_800_000 };
  const { room_id: roomId } = await creator.client.createRoom({
    preset: Preset.PublicChat,
    initial_state: [{ type: 'm.room.encryption', state_key: '', content }],
  });
  for (const { client } of others) await client.joinRoom(roomId);
  await allKnown(devices, roomId);
  return roomId;
};

/** What befalls the server while a burst is on its way. */
const befall = async (server: Server, roll: (limit: number) => number): Promise<void> => {
  const fate = roll(LONG ? 12 : 3);
  if (fate > 1) return;
  await sleep(roll(300));
  await (fate === 0 ? server.kill() : server.stop());
  await server.start();
};

onEachEngine('nothing stays undecryptable while the server is killed and devices come and go', async (startOnEngine) => {
  await using server = await startOnEngine();
  const devices: EncryptedDevice[] = [];
  try {
    await nineDevices(server, devices);
    const roomId = await encryptedRoom(devices);
    const roll = dice(6);
    const saidBy = new Map<EncryptedDevice, string[]>(devices.map((device) => [device, []]));
    const awayFor = new Map<EncryptedDevice, number>();
    for (let said = 0; said < MESSAGES;) {
      for (const [device, bursts] of awayFor) {
        if (bursts > 0) {
          awayFor.set(device, bursts - 1);
          continue;
        }
        device.comeBack();
        awayFor.delete(device);
      }
      const present = devices.filter((device) => !device.isAway());
      const goes = present[roll(present.length)];
      if (goes && present.length > 6 && roll(2) === 0) {
        goes.goAway();
        awayFor.set(goes, roll(AWAY_BURSTS));
      }
      const speakers = Array.from({ length: SPEAKERS }, () => devices[roll(devices.length)]).filter((device) => device?.isAway() === false);
      const [renewing] = speakers;
      if (renewing && roll(4) === 0) await renewing.crypto.forceDiscardSession(roomId);
      const first = said;
      const speak = async (speaker: EncryptedDevice, index: number): Promise<void> => {
        for (let number = index; number < BURST; number += speakers.length) {
          const body = `message ${String(first + number)}`;
          await speaker.say(roomId, body);
          saidBy.get(speaker)?.push(body);
        }
      };
      const unique = [...new Set(speakers)].filter((speaker) => speaker !== undefined);
      if (unique.length === 0) continue;
      speakers.splice(0, speakers.length, ...unique);
      await Promise.all([befall(server, roll), ...unique.map((speaker, index) => speak(speaker, index))]);
      said += BURST;
    }
    for (const device of awayFor.keys()) device.comeBack();
    let count = 0;
    for (const device of devices) {
      const others = devices.filter((other) => other !== device).flatMap((other) => saidBy.get(other) ?? []);
      await allRead([device], others);
      count += others.length;
      assert.deepEqual([...device.undecryptable], []);
      assert.deepEqual(device.problems, []);
    }
    assert.ok(count >= MESSAGES * (devices.length - 1));
  } finally {
    for (const device of devices) device[Symbol.dispose]();
  }
});
