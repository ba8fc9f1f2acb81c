import inject from 'light-my-request';
import type { InjectOptions, Response } from 'light-my-request';
import type { Clock } from '#src/platform/clock.ts';
import { createLogging } from '#src/platform/logging/index.ts';
import type { Logging } from '#src/platform/logging/index.ts';
import { createMetrics } from '#src/platform/metrics/index.ts';
import type { Metrics } from '#src/platform/metrics/index.ts';
import type { Route } from './route.ts';
import { createHttpApp } from './server.ts';
import type { HttpApp, HttpAppOptions } from './server.ts';

/** A clock that stands still until it is turned. */
export interface TestClock extends Clock {
  advance(ms: number): void;
}

export const testClock = (startMs = 1_700_000_000_000): TestClock => {
  let passedMs = 0;
  return {
    now: () => startMs + passedMs,
    monotonic: () => passedMs,
    advance: (ms) => {
      passedMs += ms;
    },
  };
};

/** A logging whose lines are kept. */
export const testLogging = (clock: Clock, level = 'debug'): Logging & { lines: string[] } => {
  const lines: string[] = [];
  const sink = { write: (line: string) => void lines.push(line), flush: () => undefined, close: () => Promise.resolve() };
  return { ...createLogging({ clock, sink, level }), lines };
};

/** An app that can be asked without a socket. */
export interface TestedApp extends HttpApp {
  readonly inject: (options: InjectOptions) => Promise<Response>;
}

export const createTestedApp = (options: HttpAppOptions): TestedApp => {
  const app = createHttpApp(options);
  return { ...app, inject: async (request) => inject(app.handle, request) };
};

/** An app over `routes`, with a log to read and metrics to ask. */
export const testApp = (
  routes: readonly Route[],
  options: Partial<HttpAppOptions> = {},
): { app: TestedApp; lines: string[]; metrics: Metrics; clock: TestClock } => {
  const clock = testClock();
  const logging = testLogging(clock);
  const metrics = createMetrics();
  const app = createTestedApp({ routes, clock, logging, metrics, serverHeader: 'Myelin/test', ...options });
  return { app, lines: logging.lines, metrics, clock };
};
