import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import type { Clock } from '#src/platform/clock.ts';
import { createPasswordThreads } from '#src/platform/crypto/passwords.ts';
import type { PasswordThreads } from '#src/platform/crypto/passwords.ts';
import { healthRoute, metricsHandler, metricsRoute } from '#src/platform/http/built-in-routes.ts';
import { bindAddresses, listen } from '#src/platform/http/listener.ts';
import type { Handle, Listening, ListenerSettings, TlsMaterial } from '#src/platform/http/listener.ts';
import { selectRoutes } from '#src/platform/http/resources.ts';
import type { Route } from '#src/platform/http/route.ts';
import { createHttpApp } from '#src/platform/http/server.ts';
import type { HttpApp, RequestCounter } from '#src/platform/http/server.ts';
import type { Logger, Logging } from '#src/platform/logging/index.ts';
import { createMetrics } from '#src/platform/metrics/index.ts';
import type { Metrics } from '#src/platform/metrics/index.ts';
import { collectProcessMetrics } from '#src/platform/metrics/process.ts';

/** What a homeserver wants to be reachable under. */
export interface ServeOptions {
  readonly listener: ListenerSettings;
  /** All routes of the homeserver; the listener's resources choose among them. */
  readonly routes: readonly Route[];
  /** By these `Host` headers it is told from others on the same listener; the first that opened it gets the rest. */
  readonly hostNames: readonly string[];
  readonly serverHeader: string;
  readonly maxBodyBytes?: number;
  /** Whether the resource `metrics` answers (`enable_metrics`). */
  readonly hasMetrics?: boolean;
  readonly tls?: TlsMaterial | undefined;
}

/** One homeserver's place on a listener. */
export interface Serving {
  readonly port: number | undefined;
  readonly addresses: readonly string[];
  reloadTls(tls: TlsMaterial): void;
  /** Lets running requests finish for at most `graceMs`; the sockets close with the last homeserver on them. */
  close(graceMs: number): Promise<void>;
}

/** What a process has once, however many homeservers live in it: sockets, metrics, threads, the log. They borrow from it. */
export interface Host {
  readonly clock: Clock;
  readonly logging: Logging;
  readonly metrics: Metrics;
  readonly passwordThreads: PasswordThreads;
  /** Opens a listener, or joins the one that is open already under the same address. */
  serve(options: ServeOptions): Promise<Serving>;
  /** Ends everything that homeservers left open. */
  close(): Promise<void>;
}

interface Tenant {
  readonly app: Pick<HttpApp, 'handle' | 'drain'>;
  readonly hostNames: readonly string[];
}

interface Shared {
  readonly listening: Promise<Listening>;
  readonly tenants: Tenant[];
}

/** What two homeservers must agree on to share a listener. */
const nameOf = (settings: ListenerSettings): string | undefined => {
  if (settings.path !== undefined) return `unix:${settings.path}`;
  return settings.port === 0 ? undefined : `${bindAddresses(settings).join(',')}:${settings.port ?? ''}`;
};

const hostNameOf = (request: IncomingMessage): string => (request.headers.host ?? '').toLowerCase().replace(/:\d+$/, '');

const choose = (tenants: readonly Tenant[], request: IncomingMessage): Tenant | undefined => {
  if (tenants.length < 2) return tenants[0];
  const hostName = hostNameOf(request);
  return tenants.find((tenant) => tenant.hostNames.includes(hostName)) ?? tenants[0];
};

const dispatcher =
  (tenants: readonly Tenant[]): Handle =>
  (request: IncomingMessage, response: ServerResponse): void => {
    const tenant = choose(tenants, request);
    if (tenant === undefined) response.writeHead(503, { connection: 'close' }).end();
    else tenant.app.handle(request, response);
  };

const LEFTOVER_GRACE_MS = 0;

export const createHost = (options: { clock: Clock; logging: Logging; passwordThreads?: PasswordThreads }): Host => {
  const { clock, logging } = options;
  const logger: Logger = logging.named('synapse.app');
  const metrics = createMetrics();
  const stopProcessMetrics = collectProcessMetrics(metrics, clock);
  const passwordThreads = options.passwordThreads ?? createPasswordThreads();
  const counter: RequestCounter = { value: 0 };
  const listeners = new Map<string, Shared>();
  let unnamed = 0;

  const makeTenant = ({ listener, ...wanted }: ServeOptions): Tenant => {
    if (listener.type === 'metrics') {
      return { app: { handle: metricsHandler(metrics), drain: () => Promise.resolve() }, hostNames: wanted.hostNames };
    }
    const all = [...wanted.routes, healthRoute, ...(wanted.hasMetrics === true ? [metricsRoute(metrics)] : [])];
    const app = createHttpApp({
      ...selectRoutes(all, listener.resources ?? []),
      clock,
      logging,
      metrics,
      counter,
      serverHeader: wanted.serverHeader,
      ...(wanted.maxBodyBytes === undefined ? {} : { maxBodyBytes: wanted.maxBodyBytes }),
      site: {
        tag: listener.tag ?? `${listener.port ?? listener.path ?? ''}`,
        tls: listener.tls === true,
        xForwarded: listener.x_forwarded ?? listener.path !== undefined,
        requestIdHeader: listener.request_id_header?.toLowerCase(),
      },
    });
    return { app, hostNames: wanted.hostNames.map((name) => name.toLowerCase()) };
  };

  const serve = async (wanted: ServeOptions): Promise<Serving> => {
    if (wanted.listener.type === 'manhole') {
      logger.warn('listeners: a manhole is a Python console; there is none here, and the listener is left out');
      return { port: undefined, addresses: [], reloadTls: () => undefined, close: () => Promise.resolve() };
    }
    const tenant = makeTenant(wanted);
    const name = nameOf(wanted.listener) ?? `any:${(unnamed += 1)}`;
    let shared = listeners.get(name);
    if (shared === undefined) {
      const tenants: Tenant[] = [];
      shared = { tenants, listening: listen(dispatcher(tenants), wanted.listener, { logger, tls: wanted.tls }) };
      listeners.set(name, shared);
    }
    shared.tenants.push(tenant);
    const { listening, tenants } = shared;
    const leave = (): void => {
      tenants.splice(tenants.indexOf(tenant), 1);
      if (tenants.length === 0 && listeners.get(name)?.tenants === tenants) listeners.delete(name);
    };
    let open: Listening;
    try {
      open = await listening;
    } catch (error) {
      leave();
      throw error;
    }
    return {
      port: open.port,
      addresses: open.addresses,
      reloadTls: (tls) => open.reloadTls(tls),
      close: async (graceMs) => {
        if (!tenants.includes(tenant)) return;
        const drained = tenant.app.drain();
        if (tenants.length > 1) {
          leave();
          await Promise.race([drained, setTimeout(graceMs, undefined, { ref: false })]);
          return;
        }
        // Connections that are still open keep their answers until the sockets are gone.
        listeners.delete(name);
        await open.close(drained, graceMs);
        leave();
      },
    };
  };

  return {
    clock,
    logging,
    metrics,
    passwordThreads,
    serve,
    close: async () => {
      stopProcessMetrics();
      await passwordThreads.close();
      for (const [, { listening, tenants }] of listeners) {
        const drained = Promise.all(tenants.map((tenant) => tenant.app.drain())).then(() => undefined);
        await (await listening).close(drained, LEFTOVER_GRACE_MS);
      }
      listeners.clear();
    },
  };
};
