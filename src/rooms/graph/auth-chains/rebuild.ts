import type { BackgroundUpdate } from '#src/platform/database/background-updates.ts';
import type { Database, Reader, Transaction } from '#src/platform/database/types.ts';
import { computeGenerations, type GenerationSource } from '#src/rooms/graph/auth-chains/generations.ts';
import {
  authNumsOf,
  deleteGenerationsOfRoom,
  generationsOf,
  lastEventNum,
  putGeneration,
  stateNumsBetween,
  stateNumsOfRoom,
} from '#src/rooms/graph/auth-chains/store.ts';

/** The update of migration 17. */
export const AUTH_GENERATIONS_UPDATE = 'auth_generations';

const sourceOf = (reader: Reader): GenerationSource => ({
  known: async (nums) => generationsOf(reader, nums),
  auth: async (nums) => authNumsOf(reader, nums),
});

const writeGenerations = async (tx: Transaction, nums: readonly number[]): Promise<void> => {
  if (nums.length === 0) return;
  const known = await generationsOf(tx, nums);
  for (const [num, generation] of await computeGenerations(sourceOf(tx), nums))
    if (known.get(num) !== generation) putGeneration(tx, num, generation);
};

/** Gives generations to state events that were stored before there were any. */
export const updateAuthGenerations: BackgroundUpdate = async (tx, progress, batchSize) => {
  const after = typeof progress['after'] === 'number' ? progress['after'] : 0;
  const upTo = after + batchSize;
  const last = await lastEventNum(tx);
  await writeGenerations(tx, await stateNumsBetween(tx, after, upTo));
  return { done: upTo >= last, progress: { after: upTo }, processed: Math.min(upTo, last) - after };
};

const PAGE = 500;

/** Computes a room's index of auth chains anew. No server may be at work on the database: it would go on from what it remembers. */
export const rebuildAuthChains = async (database: Database, roomNum: number): Promise<void> => {
  await database.write('forget auth generations', async (tx) => deleteGenerationsOfRoom(tx, roomNum));
  for (let after: number | undefined = 0; after !== undefined;) {
    const from: number = after;
    after = await database.write('auth generations', async (tx) => {
      const nums = await stateNumsOfRoom(tx, roomNum, from, PAGE);
      await writeGenerations(tx, nums);
      return nums.at(-1);
    });
  }
};

/** Of these state events those whose generation does not fit their auth events', or that have none: what the index has wrong. */
export const verifyAuthChains = async (reader: Reader, nums: readonly number[]): Promise<number[]> => {
  const auth = await authNumsOf(reader, nums);
  const generations = await generationsOf(reader, [...new Set([...nums, ...[...auth.values()].flat()])]);
  return nums.filter((num) => {
    const cited = auth.get(num) ?? [];
    return generations.get(num) !== (cited.length === 0 ? 0 : 1 + Math.max(...cited.map((each) => generations.get(each) ?? Number.NaN)));
  });
};
