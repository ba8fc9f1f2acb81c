import { AsyncLocalStorage } from 'node:async_hooks';

/** What the database and the caches have done for one piece of work; the access log tells it. */
export interface Usage {
  transactions: number;
  transactionMs: number;
  /** Time spent waiting for a connection or for the batch to start. */
  waitMs: number;
  eventsFetched: number;
}

export const newUsage = (): Usage => ({ transactions: 0, transactionMs: 0, waitMs: 0, eventsFetched: 0 });

/** The work on whose behalf something is logged: a request or a background process. */
export interface LogContext {
  /** `GET-123` for a request, `name-7` for a background process; in every log line. */
  readonly request: string;
  readonly usage?: Usage;
  /** Further fields for structured logs. */
  readonly describe?: () => Readonly<Record<string, unknown>>;
}

const contexts = new AsyncLocalStorage<LogContext>();

/** Runs `work` (and all that it awaits) with `context` in its log lines. */
export const withLogContext = <T>(context: LogContext, work: () => T): T => contexts.run(context, work);

export const currentLogContext = (): LogContext | undefined => contexts.getStore();

/** Where the running piece of work counts its use of the database, if it is counted at all. */
export const currentUsage = (): Usage | undefined => contexts.getStore()?.usage;
