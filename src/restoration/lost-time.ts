import type { Database } from '#src/platform/database/types.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { readLostStretches } from '#src/restoration/store.ts';

/** Where a reader stands in some streams, by their names. */
export type Stand = Readonly<Record<string, number | undefined>>;

/**
 * What a reader's place says of its memory: `sound`; `lost` when it is from the time between a copy of the database and its being put back; `ahead` when it is
 * from such a time and the operator has not said so (`moveOn`), or made up.
 */
export type Memory = 'sound' | 'lost' | 'ahead';

export interface LostTime {
  readonly judge: (stand: Stand) => Memory;
}

/** Knows readers who come from a time that is lost. */
export const openLostTime = async ({ database, log }: { database: Database; log: Logger }): Promise<LostTime> => {
  const stretches = await database.read('lost stretches', readLostStretches);
  let isTold = false;
  const isAhead = ([stream, position = 0]: [string, number | undefined]): boolean => position > database.positions.current(stream).min;
  const isLost = ([stream, position = 0]: [string, number | undefined]): boolean =>
    stretches.some((each) => each.stream === stream && position > each.after_position && position < each.before_position);
  return {
    judge: (stand) => {
      const places = Object.entries(stand);
      if (places.some(isAhead)) {
        if (!isTold)
          log.warn(
            'A client comes from positions that the database has not reached. If an older copy was put back, stop and run: myelin restored',
          );
        isTold = true;
        return 'ahead';
      }
      return stretches.length > 0 && places.some(isLost) ? 'lost' : 'sound';
    },
  };
};
