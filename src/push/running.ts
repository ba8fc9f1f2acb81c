import type { Outcome } from '#src/push/classes.ts';

/** How many events have notified and highlighted, for each class. Never changed in place. */
export type Running = ReadonlyMap<number, Tally>;

export interface Tally {
  readonly notifications: number;
  readonly highlights: number;
}

export const NONE: Tally = { notifications: 0, highlights: 0 };
export const NO_COUNTS: Running = new Map();

export const plus = (a: Tally, b: Tally): Tally => ({
  notifications: a.notifications + b.notifications,
  highlights: a.highlights + b.highlights,
});

export const minus = (a: Tally, b: Tally): Tally => ({
  notifications: a.notifications - b.notifications,
  highlights: a.highlights - b.highlights,
});

export const isNone = (tally: Tally): boolean => tally.notifications === 0 && tally.highlights === 0;

/**
 * The counts after one more event. Only classes that have members are carried on: what a class has counted is only ever compared with what it counted
 * while somebody belonged to it.
 */
export const advance = (before: Running, outcomes: ReadonlyMap<number, Outcome>): Running => {
  const after = new Map<number, Tally>();
  for (const [classNum, outcome] of outcomes) {
    const tally = plus(before.get(classNum) ?? NONE, outcome);
    if (!isNone(tally)) after.set(classNum, tally);
  }
  return after;
};

/** `class:notifications:highlights,…` */
export const formatRunning = (running: Running): string =>
  [...running].map(([classNum, { notifications, highlights }]) => `${classNum}:${notifications}:${highlights}`).join(',');

export const parseRunning = (text: string): Running => {
  if (text === '') return NO_COUNTS;
  return new Map(
    text.split(',').map((part) => {
      const [classNum, notifications, highlights] = part.split(':').map(Number) as [number, number, number];
      return [classNum, { notifications, highlights }];
    }),
  );
};
