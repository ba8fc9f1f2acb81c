// What follows a stream resumes after a crash: a profile change that was answered for reaches the rooms, whenever the server is killed.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { ok, type Json } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';

const ROUNDS = process.env['MYELIN_LONG'] === '1' ? 20 : 4;
const ROOMS = 12;
const PATIENCE_MS = 20_000;

onEachEngine(`a profile change survives ${String(ROUNDS)} kills`, async (startOnEngine) => {
  await using server = await startOnEngine();
  const alice = await server.register('alice');
  const rooms: string[] = [];
  for (let index = 0; index < ROOMS; index++)
    rooms.push(encodeURIComponent(ok(await alice.post<{ room_id: string }>('/createRoom', {})).room_id));
  const namesIn = async (): Promise<unknown[]> =>
    Promise.all(
      rooms.map(async (room) => {
        const { joined } = ok(await alice.get<{ joined: Record<string, Json> }>(`/rooms/${room}/joined_members`));
        return joined[alice.userId]?.['display_name'];
      }),
    );
  for (let round = 0; round < ROUNDS; round++) {
    const displayname = `Alice ${String(round)}`;
    ok(await alice.put(`/profile/${alice.userId}/displayname`, { displayname }));
    await sleep(Math.random() * 30); // so that the kill falls before, between and after the rooms
    await server.kill();
    await server.start();
    const deadline = Date.now() + PATIENCE_MS;
    let names = await namesIn();
    while (names.some((name) => name !== displayname) && Date.now() < deadline) {
      await sleep(20);
      names = await namesIn();
    }
    assert.deepEqual(
      names,
      rooms.map(() => displayname),
    );
    const { chunk } = ok(
      await alice.get<{ chunk: Json[] }>(`/rooms/${rooms[0] ?? ''}/messages?dir=b&limit=100&filter={"types":["m.room.member"]}`),
    );
    assert.equal(chunk.length, round + 2, 'each name was written into the room once');
  }
});
