import type { IncomingMessage, ServerResponse } from 'node:http';
import createRouter from 'find-my-way';
import type { HTTPMethod } from 'find-my-way';
import { MatrixError, invalidParam, methodNotAllowed, notJson, unrecognized } from '#src/protocol/errors.ts';
import type { Clock } from '#src/platform/clock.ts';
import { withLogContext } from '#src/platform/logging/index.ts';
import type { Logger, Logging } from '#src/platform/logging/index.ts';
import type { Metrics } from '#src/platform/metrics/index.ts';
import { CORS_HEADERS, errorAnswer, internalError, maybeCompress, send, toOutgoing } from './answer.ts';
import type { Outgoing } from './answer.ts';
import { logAccess } from './access-log.ts';
import { ClientGoneError, DEFAULT_BODY_LIMIT, parseJson } from './body.ts';
import { createHttpMetrics } from './http-metrics.ts';
import type { HttpMetrics, RequestMetrics } from './http-metrics.ts';
import { HttpRequest, isTrickyPath, onEnd, pathMatcher, requestId } from './request.ts';
import type { Site } from './request.ts';
import type { Route } from './route.ts';
import { compileChecks } from './validation.ts';
import type { Checks } from './validation.ts';

/** Numbers requests; shared by all listeners of a process, so that an id names one request. */
export interface RequestCounter {
  value: number;
}

export interface HttpAppOptions {
  readonly routes: readonly Route[];
  /** Those of the routes whose answers may be compressed. */
  readonly compressed?: ReadonlySet<Route>;
  readonly clock: Clock;
  readonly logging: Logging;
  readonly metrics: Metrics;
  /** Where a route says nothing else. */
  readonly maxBodyBytes?: number;
  /** `Server:` of every answer. */
  readonly serverHeader: string;
  readonly site?: Partial<Site>;
  readonly counter?: RequestCounter;
}

/** The routes of one listener, ready to be asked. */
export interface HttpApp {
  /** For node's `createServer`. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
  readonly site: Site;
  readonly serverHeader: string;
  /** No new work: running requests are told to stop, and connections to close. Resolves when all are answered. */
  drain(): Promise<void>;
}

/** Told to requests that still run when the server stops. */
export class ShuttingDownError extends Error {
  override readonly name = 'ShuttingDownError';
}

interface App {
  readonly options: HttpAppOptions;
  readonly site: Site;
  readonly accessLogger: Logger;
  readonly logger: Logger;
  readonly httpMetrics: HttpMetrics;
  readonly counter: RequestCounter;
  readonly running: Set<HttpRequest>;
  /** On every answer, and on those after which the connection ends. */
  readonly headers: Readonly<Record<string, string>>;
  readonly lastHeaders: Readonly<Record<string, string>>;
  isDraining: boolean;
  whenIdle: (() => void) | undefined;
}

interface Mounted {
  readonly route: Route;
  readonly metrics: RequestMetrics;
  readonly isCompressed: boolean;
  readonly isQuiet: boolean;
  checks: Checks | undefined;
}

// Longer than the URL that Node accepts at all, so that Node's limit is the one that counts.
const MAX_PARAM_LENGTH = 65_536;

/** A request between Node and the routes. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: HttpRequest['query'];
}

type Params = Readonly<Record<string, string | undefined>>;

/** What a path and a method lead to. */
type Target = (exchange: Exchange, params: Params) => void;

const NO_QUERY: HttpRequest['query'] = {};

/** Finds the target of a request and asks it. What is known under other methods only is told from what is not known at all. */
const createDispatch = (app: App, routes: readonly Route[]): HttpApp['handle'] => {
  const refuse = (request: IncomingMessage, response: ServerResponse, error: MatrixError): void =>
    fail(app, { request, response, query: NO_QUERY }, error);
  const isKnownPath = pathMatcher(routes.flatMap((route) => route.paths));
  const router = createRouter({
    maxParamLength: MAX_PARAM_LENGTH,
    defaultRoute: (request, response) => {
      const { url = '' } = request;
      const isKnown = !isTrickyPath(url) && isKnownPath(url);
      refuse(request, response, isKnown ? methodNotAllowed('Unrecognized request') : unrecognized('Unrecognized request'));
    },
    onBadUrl: (_path, request, response) =>
      refuse(request, response, new MatrixError(400, 'M_INVALID_PARAM', 'The path is not valid percent-encoded UTF-8')),
  });
  const add = (method: HTTPMethod, url: string, target: Target): void => {
    router.on(method, url, (request, response, params, _store, query) => target({ request, response, query }, params));
  };
  add('OPTIONS', '*', (exchange) => answerOptions(app, exchange));
  for (const route of routes) {
    const target = targetOf(app, route);
    for (const url of route.paths) {
      add(route.method, url, target);
      if (route.method === 'GET') add('HEAD', url, target);
      if (route.headers !== undefined && !router.hasRoute('OPTIONS', url))
        add('OPTIONS', url, (exchange) => answerOptions(app, exchange, route.headers));
    }
  }
  return (request, response) => {
    try {
      router.lookup(request, response);
    } catch (error) {
      // A bug; it must not end the process.
      app.logger.error({ err: error }, 'Failed to route a request');
      response.destroy();
    }
  };
};

export const createHttpApp = (options: HttpAppOptions): HttpApp => {
  const site: Site = { tag: 'http', tls: false, xForwarded: false, requestIdHeader: undefined, ...options.site };
  const app: App = {
    options,
    site,
    counter: options.counter ?? { value: 0 },
    accessLogger: options.logging.named(`synapse.access.${site.tls ? 'https' : 'http'}.${site.tag}`),
    logger: options.logging.named('synapse.http.server'),
    httpMetrics: createHttpMetrics(options.metrics),
    running: new Set(),
    headers: { server: options.serverHeader },
    lastHeaders: { server: options.serverHeader, connection: 'close' },
    isDraining: false,
    whenIdle: undefined,
  };
  return {
    handle: createDispatch(app, options.routes),
    site,
    serverHeader: options.serverHeader,
    drain: () => drain(app),
  };
};

const targetOf = (app: App, route: Route): Target => {
  const mounted: Mounted = {
    route,
    metrics: app.httpMetrics.of(route.method, route.servlet, app.site.tag),
    isCompressed: app.options.compressed?.has(route) === true,
    isQuiet: route.servlet === '/health',
    checks: undefined,
  };
  return (exchange, params) => {
    const incoming = begin(app, exchange, mounted.metrics, mounted.isQuiet);
    incoming.answerHeaders = route.headers;
    void withLogContext(incoming, () => serve(app, mounted, incoming, exchange, params));
  };
};

/** Takes note of a request and of its end. */
const begin = (app: App, { request, response, query }: Exchange, metrics: RequestMetrics, isQuiet: boolean): HttpRequest => {
  const { clock } = app.options;
  app.counter.value += 1;
  const incoming = new HttpRequest(request, app.site, requestId(request, app.site, app.counter.value), query, clock.monotonic());
  app.running.add(incoming);
  metrics.started();
  onEnd(response, (isAnswered) => {
    app.running.delete(incoming);
    if (!isAnswered) incoming.stop(new ClientGoneError('The client closed the connection'));
    const nowMs = clock.monotonic();
    const status = isAnswered ? response.statusCode : 499;
    metrics.finished(status, (nowMs - incoming.startedMs) / 1000, incoming.answeredBytes);
    logAccess(app.accessLogger, app.site, incoming, { method: request.method ?? '', status, nowMs, isQuiet });
    if (app.running.size === 0) app.whenIdle?.();
  });
  if (app.isDraining) incoming.stop(new ShuttingDownError('The server is shutting down'));
  if (app.site.xForwarded && request.headers['x-forwarded-for'] !== undefined && request.headers['x-forwarded-proto'] === undefined) {
    app.logger.warn('forwarded request lacks an x-forwarded-proto header: assuming https');
  }
  return incoming;
};

const deliver = (app: App, incoming: HttpRequest, response: ServerResponse, outgoing: Outgoing): void => {
  incoming.handledMs = app.options.clock.monotonic();
  const headers = app.isDraining ? app.lastHeaders : app.headers;
  incoming.answeredBytes = send(
    response,
    outgoing,
    incoming.answerHeaders === undefined ? headers : { ...headers, ...incoming.answerHeaders },
  );
};

/** A request's whole way: who, how often, what, and the answer. */
const serve = async (app: App, mounted: Mounted, incoming: HttpRequest, exchange: Exchange, params: Params): Promise<void> => {
  const { response } = exchange;
  try {
    const outgoing = toOutgoing(await perform(app, mounted, incoming, params));
    deliver(app, incoming, response, mounted.isCompressed ? await maybeCompress(outgoing, incoming.headers['accept-encoding']) : outgoing);
  } catch (error) {
    answerFailure(app, incoming, response, error);
  }
};

const perform = async (app: App, mounted: Mounted, incoming: HttpRequest, params: Params): Promise<unknown> => {
  const { route } = mounted;
  if (isTrickyPath(incoming.url)) throw unrecognized('Unrecognized request');
  if (incoming.url.includes('%00')) throw invalidParam('The URL must not contain NUL');
  const caller = await route.access.identify(incoming);
  route.limit?.(caller, incoming);
  const checks = (mounted.checks ??= await compileChecks(route));
  const query = checks.query(incoming.query);
  const body = route.body === undefined ? undefined : await readJson(app, route, checks, incoming);
  return route.handle({ caller, params, query, body, request: incoming });
};

const readJson = async (app: App, route: Route, checks: Checks, incoming: HttpRequest): Promise<unknown> => {
  const bytes = await incoming.bytes(route.bodyLimit ?? app.options.maxBodyBytes ?? DEFAULT_BODY_LIMIT);
  if (bytes.length === 0) {
    if (!checks.isBodyOptional) throw notJson('Content not JSON.');
    return {};
  }
  const body = parseJson(bytes);
  checks.body(body);
  return body;
};

const answerFailure = (app: App, incoming: HttpRequest, response: ServerResponse, error: unknown): void => {
  if (response.headersSent) {
    // Too late for an error answer; a cut connection is the only way to say so.
    app.logger.error({ err: error }, 'Failed after the answer had begun');
    response.destroy();
    return;
  }
  const isStopped = incoming.stopped !== undefined && (error === incoming.stopped || (error as Error | undefined)?.name === 'AbortError');
  if (error instanceof ClientGoneError || (isStopped && incoming.stopped instanceof ClientGoneError)) {
    response.destroy();
    return;
  }
  if (isStopped) {
    deliver(app, incoming, response, errorAnswer(new MatrixError(503, 'M_UNKNOWN', 'The server is shutting down')));
    return;
  }
  if (error instanceof MatrixError) {
    // What is left of a body that nobody wants is not worth waiting for.
    const answer = errorAnswer(error);
    app.logger.info(`MatrixError: ${error.status} ${error.errcode} - ${error.message}`);
    deliver(app, incoming, response, error.status === 413 ? { ...answer, headers: { connection: 'close' } } : answer);
    return;
  }
  app.logger.error({ err: error }, `Failed handle request: ${incoming.id} ${incoming.redactedUrl}`);
  deliver(app, incoming, response, errorAnswer(internalError()));
};

/** Answers an error outside of any route. */
const fail = (app: App, exchange: Exchange, error: MatrixError): void => {
  const { method = '' } = exchange.request;
  const incoming = begin(app, exchange, app.httpMetrics.of(method === 'HEAD' ? 'GET' : method, 'unrecognized', app.site.tag), false);
  withLogContext(incoming, () => answerFailure(app, incoming, exchange.response, error));
};

const answerOptions = (app: App, exchange: Exchange, headers?: Route['headers']): void => {
  begin(app, exchange, app.httpMetrics.of('OPTIONS', 'options', app.site.tag), true);
  exchange.response.writeHead(204, { ...CORS_HEADERS, ...app.headers, ...headers }).end();
};

const drain = (app: App): Promise<void> => {
  app.isDraining = true;
  for (const request of app.running) request.stop(new ShuttingDownError('The server is shutting down'));
  if (app.running.size === 0) return Promise.resolve();
  return new Promise((resolve) => {
    app.whenIdle = resolve;
  });
};
