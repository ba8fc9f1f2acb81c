import type { IncomingMessage, ServerResponse } from 'node:http';
import fastify from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { MatrixError, invalidParam, methodNotAllowed, notJson, unrecognized } from '#src/protocol/errors.ts';
import type { Clock } from '#src/platform/clock.ts';
import { withLogContext } from '#src/platform/logging/index.ts';
import type { Logger, Logging } from '#src/platform/logging/index.ts';
import type { Metrics } from '#src/platform/metrics/index.ts';
import { CORS_HEADERS, errorAnswer, internalError, maybeCompress, send, toOutgoing } from './answer.ts';
import type { Outgoing } from './answer.ts';
import { logAccess } from './access-log.ts';
import { ClientGoneError, DEFAULT_BODY_LIMIT, parseJson, readBody } from './body.ts';
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
  /** Asks without a socket, for tests. */
  readonly inject: FastifyInstance['inject'];
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

const METHODS_WITH_BODY = ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'QUERY'];

// Longer than the URL that Node accepts at all, so that Node's limit is the one that counts.
const MAX_PARAM_LENGTH = 65_536;

/** fastify as a router and life cycle; bodies, checks and answers are this house's, because Matrix wants them otherwise. */
const createRouter = (app: App): FastifyInstance => {
  const router = fastify({
    logger: false,
    exposeHeadRoutes: false,
    genReqId: (raw) => {
      app.counter.value += 1;
      return requestId(raw, app.site, app.counter.value);
    },
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    return503OnClosing: false,
    // A path that is not percent-encoded UTF-8 never reaches a route.
    frameworkErrors: (_error, request, reply) => {
      fail(app, request, reply, new MatrixError(400, 'M_INVALID_PARAM', 'The path is not valid percent-encoded UTF-8'));
    },
  });
  // Told that no method has a body, fastify leaves it alone: its parsers refuse odd content types, empty JSON and keys such as `__proto__`.
  for (const method of METHODS_WITH_BODY) router.addHttpMethod(method, { hasBody: false, overrideExisting: true });
  return router;
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
  const router = createRouter(app);
  router.route({ method: 'OPTIONS', url: '*', handler: (request, reply) => answerOptions(app, request, reply) });
  for (const route of options.routes) mount(app, router, route);
  const isKnownPath = pathMatcher(options.routes.flatMap((route) => route.paths));
  router.setNotFoundHandler((request, reply) => {
    const isKnown = !isTrickyPath(request.url) && isKnownPath(request.url);
    fail(app, request, reply, isKnown ? methodNotAllowed('Unrecognized request') : unrecognized('Unrecognized request'));
  });
  // Nothing in this house throws into fastify; if fastify itself does, the client still gets a Matrix error.
  router.setErrorHandler((error, request, reply) => {
    app.logger.error({ err: error }, `Failed handle request ${request.id}`);
    fail(app, request, reply, internalError());
  });

  let isReady = false;
  const whenReady = async (): Promise<void> => {
    await router.ready();
    isReady = true;
  };
  const ready = whenReady();
  const handleLater = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    await ready;
    router.routing(request, response);
  };
  return {
    handle: (request, response) => {
      if (isReady) router.routing(request, response);
      else void handleLater(request, response);
    },
    inject: router.inject.bind<FastifyInstance['inject']>(router),
    site,
    serverHeader: options.serverHeader,
    drain: () => drain(app),
  };
};

const mount = (app: App, router: FastifyInstance, route: Route): void => {
  const mounted: Mounted = {
    route,
    metrics: app.httpMetrics.of(route.method, route.servlet, app.site.tag),
    isCompressed: app.options.compressed?.has(route) === true,
    isQuiet: route.servlet === '/health',
    checks: undefined,
  };
  const method = route.method === 'GET' ? ['GET', 'HEAD'] : [route.method];
  for (const url of route.paths) {
    router.route({
      method,
      url,
      handler: (request, reply) => {
        const incoming = begin(app, request, reply, mounted.metrics, mounted.isQuiet);
        void withLogContext(incoming, () => serve(app, mounted, incoming, request, reply));
      },
    });
  }
};

/** Takes note of a request and of its end. */
const begin = (app: App, request: FastifyRequest, reply: FastifyReply, metrics: RequestMetrics, isQuiet: boolean): HttpRequest => {
  const { clock } = app.options;
  const query = (request.query ?? {}) as HttpRequest['query'];
  const incoming = new HttpRequest(request.raw, app.site, request.id, query, clock.monotonic());
  app.running.add(incoming);
  metrics.started();
  onEnd(reply.raw, (isAnswered) => {
    app.running.delete(incoming);
    if (!isAnswered) incoming.stop(new ClientGoneError('The client closed the connection'));
    const nowMs = clock.monotonic();
    const status = isAnswered ? reply.raw.statusCode : 499;
    metrics.finished(status, (nowMs - incoming.startedMs) / 1000, incoming.answeredBytes);
    logAccess(app.accessLogger, app.site, incoming, { method: request.method, status, nowMs, isQuiet });
    if (app.running.size === 0) app.whenIdle?.();
  });
  if (app.isDraining) incoming.stop(new ShuttingDownError('The server is shutting down'));
  if (app.site.xForwarded && request.headers['x-forwarded-for'] !== undefined && request.headers['x-forwarded-proto'] === undefined) {
    app.logger.warn('forwarded request lacks an x-forwarded-proto header: assuming https');
  }
  return incoming;
};

const deliver = (app: App, incoming: HttpRequest, reply: FastifyReply, outgoing: Outgoing): void => {
  incoming.handledMs = app.options.clock.monotonic();
  incoming.answeredBytes = send(reply.raw, outgoing, app.isDraining ? app.lastHeaders : app.headers);
};

/** A request's whole way: who, how often, what, and the answer. */
const serve = async (app: App, mounted: Mounted, incoming: HttpRequest, request: FastifyRequest, reply: FastifyReply): Promise<void> => {
  try {
    const outgoing = toOutgoing(await perform(app, mounted, incoming, request));
    deliver(app, incoming, reply, mounted.isCompressed ? await maybeCompress(outgoing, incoming.headers['accept-encoding']) : outgoing);
  } catch (error) {
    answerFailure(app, incoming, reply, error);
  }
};

const perform = async (app: App, mounted: Mounted, incoming: HttpRequest, request: FastifyRequest): Promise<unknown> => {
  const { route } = mounted;
  if (isTrickyPath(incoming.url)) throw unrecognized('Unrecognized request');
  if (incoming.url.includes('%00')) throw invalidParam('The URL must not contain NUL');
  const caller = await route.access.identify(incoming);
  route.limit?.(caller, incoming);
  const checks = (mounted.checks ??= await compileChecks(route));
  const query = checks.query(incoming.query);
  const body = route.body === undefined ? undefined : await readJson(app, route, checks, request.raw);
  return route.handle({ caller, params: request.params, query, body, request: incoming });
};

const readJson = async (app: App, route: Route, checks: Checks, raw: IncomingMessage): Promise<unknown> => {
  const bytes = await readBody(raw, route.bodyLimit ?? app.options.maxBodyBytes ?? DEFAULT_BODY_LIMIT);
  if (bytes.length === 0) {
    if (!checks.isBodyOptional) throw notJson('Content not JSON.');
    return {};
  }
  const body = parseJson(bytes);
  checks.body(body);
  return body;
};

const answerFailure = (app: App, incoming: HttpRequest, reply: FastifyReply, error: unknown): void => {
  if (reply.raw.headersSent) {
    // Too late for an error answer; a cut connection is the only way to say so.
    app.logger.error({ err: error }, 'Failed after the answer had begun');
    reply.raw.destroy();
    return;
  }
  const isStopped = incoming.stopped !== undefined && (error === incoming.stopped || (error as Error | undefined)?.name === 'AbortError');
  if (error instanceof ClientGoneError || (isStopped && incoming.stopped instanceof ClientGoneError)) {
    reply.raw.destroy();
    return;
  }
  if (isStopped) {
    deliver(app, incoming, reply, errorAnswer(new MatrixError(503, 'M_UNKNOWN', 'The server is shutting down')));
    return;
  }
  if (error instanceof MatrixError) {
    // What is left of a body that nobody wants is not worth waiting for.
    const answer = errorAnswer(error);
    app.logger.info(`MatrixError: ${error.status} ${error.errcode} - ${error.message}`);
    deliver(app, incoming, reply, error.status === 413 ? { ...answer, headers: { connection: 'close' } } : answer);
    return;
  }
  app.logger.error({ err: error }, `Failed handle request: ${incoming.id} ${incoming.redactedUrl}`);
  deliver(app, incoming, reply, errorAnswer(internalError()));
};

/** Answers an error outside of any route. */
const fail = (app: App, request: FastifyRequest, reply: FastifyReply, error: MatrixError): void => {
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const incoming = begin(app, request, reply, app.httpMetrics.of(method, 'unrecognized', app.site.tag), false);
  withLogContext(incoming, () => answerFailure(app, incoming, reply, error));
};

const answerOptions = (app: App, request: FastifyRequest, reply: FastifyReply): void => {
  begin(app, request, reply, app.httpMetrics.of('OPTIONS', 'options', app.site.tag), true);
  reply.raw.writeHead(204, { ...CORS_HEADERS, ...app.headers }).end();
};

const drain = (app: App): Promise<void> => {
  app.isDraining = true;
  for (const request of app.running) request.stop(new ShuttingDownError('The server is shutting down'));
  if (app.running.size === 0) return Promise.resolve();
  return new Promise((resolve) => {
    app.whenIdle = resolve;
  });
};
