import type { Database } from '#src/platform/database/types.ts';

/** Numbers of events and rooms, taken from memory; a block of them is reserved durably ahead of use, so none is ever given twice. */
export interface Numbers {
  next(): Promise<number>;
}

const BLOCK = 1000;

export const createNumbers = (database: Database, name: string): Numbers => {
  let free = 0;
  let end = 0;
  let refill: Promise<void> | undefined;

  const reserve = async (): Promise<void> => {
    const first = await database.write(`reserve ${name}`, async (tx) => tx.nextPositions(name, BLOCK));
    free = first;
    end = first + BLOCK;
  };

  return {
    next: async () => {
      while (free >= end) {
        refill ??= reserve().finally(() => {
          refill = undefined;
        });
        await refill;
      }
      return free++;
    },
  };
};
