/** At what time somebody is to be looked at, roughly: never before it, and at most one step after. */
export interface Alarms {
  /** Wakes for a user at a time; an earlier alarm for the same user stays. */
  set(userNum: number, atMs: number): void;
  /** Those whose time has come; their alarms are over. */
  due(nowMs: number): readonly number[];
  size(): number;
}

/** Alarms in steps of `stepMs`. One costs a place in a map, however often it is set again. */
export const createAlarms = (stepMs: number): Alarms => {
  const slotOf = new Map<number, number>();
  const slots = new Map<number, Set<number>>();

  return {
    set: (userNum, atMs) => {
      if (atMs === Infinity) return;
      const slot = Math.ceil(atMs / stepMs);
      const before = slotOf.get(userNum);
      if (before !== undefined && before <= slot) return;
      if (before !== undefined) slots.get(before)?.delete(userNum);
      slotOf.set(userNum, slot);
      const inSlot = slots.get(slot);
      if (inSlot === undefined) slots.set(slot, new Set([userNum]));
      else inSlot.add(userNum);
    },
    due: (nowMs) => {
      const found: number[] = [];
      for (const [slot, userNums] of slots) {
        if (slot * stepMs > nowMs) continue;
        slots.delete(slot);
        for (const userNum of userNums) {
          slotOf.delete(userNum);
          found.push(userNum);
        }
      }
      return found;
    },
    size: () => slotOf.size,
  };
};
