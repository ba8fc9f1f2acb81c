/** Lets `limit` calls run at once; the others wait in line. */
export const inLine = (limit: number): (<T>(call: () => Promise<T>) => Promise<T>) => {
  const waiting: Array<() => void> = [];
  let running = 0;
  return async (call) => {
    if (running >= limit) await new Promise<void>((resolve) => void waiting.push(resolve));
    else running += 1;
    try {
      return await call();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
};
