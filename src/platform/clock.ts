/** Where time comes from, so that a test can turn it. Outside `system*` functions nothing calls `Date.now`. */
export interface Clock {
  /** Milliseconds since the Unix epoch, as in `origin_server_ts`. */
  now(): number;
  /** Monotonic milliseconds, for durations. */
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};
