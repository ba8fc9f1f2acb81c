import { claimKeys, queryKeys, sendToDevices, uploadKeys } from './keys.ts';
import { drive, measured, prepare, someone, type Bench } from './load.ts';
import { createRoom } from './seed.ts';
import type { Figures } from './statistics.ts';
import { deliver, sendToSyncers } from './syncers.ts';
import { BODY, crowdContent, send } from './talk.ts';

/** What is put on a running server; each is measured warm, and again as the first thing after a start. */
export const LOADS = [
  'rooms',
  'one-by-one',
  'twenty-rooms',
  'one-room',
  'large-room',
  'delivery',
  'first-sync',
  'keys-query',
  'keys-claim',
  'keys-upload',
  'to-device',
] as const;
export type LoadName = (typeof LOADS)[number];

const createRooms = async (bench: Bench): Promise<Figures> => {
  const create = (index: number): Promise<string> => createRoom(bench.client, someone(bench.world.users, 0), `new ${String(index)}`);
  await prepare(1, bench.size.warmUp, create);
  return measured(bench, () => drive({ workers: 1, calls: bench.size.creations }, create));
};

const sendOneByOne = async (bench: Bench): Promise<Figures> => {
  const one = (): Promise<unknown> => send(bench, 0, bench.world.alone, { body: BODY });
  await prepare(1, bench.size.warmUp, one);
  return measured(bench, () => drive({ workers: 1, calls: bench.size.sequentialSends }, one));
};

const sendInTwentyRooms = (bench: Bench): Promise<Figures> =>
  measured(bench, () =>
    drive({ workers: 20, ms: bench.size.burstMs }, (_, worker) => send(bench, worker, bench.world.twenty[worker] ?? '', { body: BODY })),
  );

const sendInOneRoom = (bench: Bench): Promise<Figures> =>
  measured(bench, () =>
    drive({ workers: 50, ms: bench.size.burstMs }, (index, worker) =>
      send(bench, worker, bench.world.crowded, crowdContent(bench.world, 50, index)),
    ),
  );

/** A first sync of somebody in many rooms; each asks for another timeline length, so that no cached answer serves. */
const firstSync = async (bench: Bench): Promise<Figures> => {
  const one = (index: number): Promise<unknown> => {
    const filter = encodeURIComponent(JSON.stringify({ room: { timeline: { limit: 20 + index } } }));
    return bench.client.call('GET', `/sync?filter=${filter}&set_presence=offline&timeout=0`, bench.world.roomy);
  };
  const warmUp = Math.min(1, bench.size.warmUp);
  await prepare(1, warmUp, one);
  return measured(bench, () => drive({ workers: 1, calls: bench.size.firstSyncs }, (index) => one(index + warmUp)));
};

export const PHASE: Readonly<Record<LoadName, (bench: Bench) => Promise<Figures>>> = {
  rooms: createRooms,
  'one-by-one': sendOneByOne,
  'twenty-rooms': sendInTwentyRooms,
  'one-room': sendInOneRoom,
  'large-room': sendToSyncers,
  delivery: deliver,
  'first-sync': firstSync,
  'keys-query': queryKeys,
  'keys-claim': claimKeys,
  'keys-upload': uploadKeys,
  'to-device': sendToDevices,
};
