// matrix-nio and matrix-js-sdk, each with its own cryptography, understand each other in an encrypted room, and the server is killed in between.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { allKnown, allRead, eventually, signIn, startDevice, type EncryptedDevice } from './support/encrypted-device.ts';
import { Preset } from 'matrix-js-sdk';
import { clientsPython, NO_CLIENTS } from './support/clients-venv.ts';
import { onEachEngine } from './support/engines.ts';
import type { Server } from './support/server.ts';

const SCENARIO = join(import.meta.dirname, 'clients/nio_encryption.py');
const [ROUNDS, MESSAGES] = process.env['MYELIN_LONG'] === '1' ? [40, 25] : [2, 6];

const startNio = (server: Server, name: string) => {
  const child = spawn(clientsPython ?? '', [SCENARIO, server.origin, name], { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  return {
    lines,
    errors: text(child.stderr),
    exited: once(child, 'exit') as Promise<[number | null]>,
    [Symbol.dispose]: () => void child.kill(),
  };
};

onEachEngine(
  'matrix-nio and matrix-js-sdk read each other in an encrypted room',
  async (startOnEngine) => {
    await using server = await startOnEngine();
    using nio = startNio(server, 'nora');
    const devices: EncryptedDevice[] = [];
    try {
      devices.push(
        await startDevice(server, await server.register('alice')),
        await startDevice(server, await signIn(server, 'alice', 'ALICE2')),
      );
      const [alice, second] = devices;
      assert.ok(alice && second);
      const announced = await eventually('matrix-nio', () =>
        nio.lines.map((line) => /^device (.+)$/.exec(line)).find((match) => match !== null),
      );
      const userId = `@nora:${server.name}`;
      const content = { algorithm: 'm.megolm.v1.aes-sha2', rotation_period_msgs: 7 };
      const { room_id: roomId } = await alice.client.createRoom({
        preset: Preset.PrivateChat,
        invite: [userId],
        initial_state: [{ type: 'm.room.encryption', state_key: '', content }],
      });
      await allKnown(devices, roomId);
      for (const { client, crypto } of devices) {
        await eventually('nora', () => (client.getRoom(roomId)?.getMember(userId)?.membership === 'join' ? true : undefined));
        await eventually(
          'the device of nora',
          async () => (await crypto.getUserDeviceInfo([userId])).get(userId)?.has(announced[1] ?? '') || undefined,
        );
      }
      for (let round = 0; round < ROUNDS; round++) {
        const speaker = round % 2 ? alice : second;
        const bodies = Array.from({ length: MESSAGES }, (_, number) => `message ${String(round)} ${String(number)}`);
        for (const body of bodies) await speaker.say(roomId, body);
        await allRead(
          devices,
          bodies.map((body) => `echo of ${body}`),
        );
        await allRead(
          devices.filter((device) => device !== speaker),
          bodies,
        );
        await server.kill();
        await server.start();
      }
      await alice.say(roomId, 'stop');
      const [code] = await nio.exited;
      assert.deepEqual({ code, errors: code === 0 ? '' : await nio.errors }, { code: 0, errors: '' });
      assert.equal(nio.lines.filter((line) => line.startsWith('read ')).length, ROUNDS * MESSAGES + 1);
      assert.deepEqual(
        nio.lines.filter((line) => line.startsWith('undecryptable')),
        [],
      );
      for (const { undecryptable, problems } of devices) assert.deepEqual([[...undecryptable], problems], [[], []]);
    } finally {
      for (const device of devices) device[Symbol.dispose]();
    }
  },
  { skip: clientsPython === undefined && NO_CLIENTS },
);
