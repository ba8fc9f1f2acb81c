import assert from 'node:assert/strict';
import { authTypesFor } from '#src/protocol/auth-rules/index.ts';
import { buildPdu, referencesTo } from '#src/protocol/events.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { signingKeyFromSeed } from '#src/protocol/signatures.ts';
import type { NewEvent, RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';

/** The key of the server two.example. */
export const theirKey = signingKeyFromSeed('ed25519:a_2', Buffer.alloc(32, 2));

/** An event that two.example made upon `prev` and that arrives now, whatever becomes of it. */
export const tryArrive = async (
  { graph }: { readonly graph: RoomGraph },
  room: RoomInfo,
  prev: RoomEvent,
  wanted: NewEvent,
): Promise<RoomEvent | undefined> => {
  const version = roomVersion(room.version);
  const keys = authTypesFor({ ...wanted, ...(wanted.stateKey !== undefined && { state_key: wanted.stateKey }) }, version);
  const held = await Promise.all(keys.map(([type, key]) => graph.states.get(room.num, prev.stateRoot as string, type, key)));
  const { json } = buildPdu({
    roomVersion: version,
    roomId: room.roomId,
    ...wanted,
    originServerTs: 1000,
    depth: prev.depth + 1,
    prevEvents: referencesTo([prev], version),
    authEvents: referencesTo(await graph.events.list(held.filter((num) => num !== undefined)), version),
    serverName: 'two.example',
    signingKey: theirKey,
  });
  return graph.receive(room, json);
};

/** An event that two.example made upon `prev` and that arrives now and is accepted. */
export const arrive = async (
  world: { readonly graph: RoomGraph },
  room: RoomInfo,
  prev: RoomEvent,
  wanted: NewEvent,
): Promise<RoomEvent> => {
  const received = await tryArrive(world, room, prev, wanted);
  assert.ok(received);
  assert.equal(received.facts, 0, received.fault ?? '');
  return received;
};
