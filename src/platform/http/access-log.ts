import { withLogContext } from '#src/platform/logging/index.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { HttpRequest, Site } from './request.ts';

const seconds = (ms: number): string => (ms / 1000).toFixed(3);

interface Outcome {
  readonly method: string;
  readonly status: number;
  readonly nowMs: number;
  /** Asked for all the time by machines: kept out of the log unless it is at debug. */
  readonly isQuiet: boolean;
}

/**
 * One line a request, in the form that tools for Synapse's log know: address, listener, user, seconds until handled and until sent,
 * CPU seconds (not known per request, hence 0), waiting for and using the database, bytes, status, request line, user agent, events fetched.
 */
export const logAccess = (logger: Logger, site: Site, request: HttpRequest, outcome: Outcome): void => {
  if (!logger.isLevelEnabled(outcome.isQuiet ? 'debug' : 'info')) return;
  const handledMs = request.handledMs ?? outcome.nowMs;
  const { usage } = request;
  // A 499 is marked, as nobody has seen it.
  const code = outcome.status === 499 ? '499!' : `${outcome.status}`;
  const line =
    `${request.ip} - ${site.tag} - {${request.requester ?? 'None'}} Processed request: ` +
    `${seconds(handledMs - request.startedMs)}sec/${seconds(outcome.nowMs - handledMs)}sec (0.000sec, 0.000sec) ` +
    `(${seconds(usage.waitMs)}sec/${seconds(usage.transactionMs)}sec/${usage.transactions}) ` +
    `${request.answeredBytes}B ${code} "${outcome.method} ${request.redactedUrl} ${request.protocol}" "${request.userAgent}" ` +
    `[${usage.eventsFetched} dbevts]`;
  withLogContext(request, () => (outcome.isQuiet ? logger.debug(line) : logger.info(line)));
};
