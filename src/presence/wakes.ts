import type { Clock } from '#src/platform/clock.ts';

/** How those who wait in `/sync` are told. */
export interface Wake {
  users(userNums: Iterable<number>): void;
  room(roomNum: number): void;
}

/** Wakes whom changes concern: at once after a quiet second, else all together at its end. */
export interface Wakes {
  follow(wake: Wake): void;
  add(userNums: Iterable<number>, roomNums: Iterable<number>): void;
  close(): void;
}

const INTERVAL_MS = 1000;

export const createWakes = (clock: Pick<Clock, 'monotonic'>): Wakes => {
  const users = new Set<number>();
  const rooms = new Set<number>();
  let wake: Wake | undefined;
  let lastMs = -Infinity;
  let timer: NodeJS.Timeout | undefined;

  const flush = (): void => {
    timer = undefined;
    lastMs = clock.monotonic();
    for (const roomNum of rooms) wake?.room(roomNum);
    wake?.users(users);
    users.clear();
    rooms.clear();
  };

  return {
    follow: (by) => {
      wake = by;
    },
    add: (userNums, roomNums) => {
      for (const userNum of userNums) users.add(userNum);
      for (const roomNum of roomNums) rooms.add(roomNum);
      timer ??= setTimeout(flush, Math.max(0, lastMs + INTERVAL_MS - clock.monotonic())).unref();
    },
    close: () => clearTimeout(timer),
  };
};
