import type { Metrics } from '#src/platform/metrics/index.ts';
import type { Handle } from './listener.ts';
import { Answer, anyone, at, route } from './route.ts';
import type { Route } from './route.ts';

/** For load balancers: says that the process answers. On every listener. */
export const healthRoute: Route = route({
  method: 'GET',
  path: at('/health'),
  access: anyone,
  handle: () => Promise.resolve(new Answer(200, 'OK', { 'content-type': 'text/plain; charset=utf-8' })),
});

/** The metrics on listeners with the resource `metrics`. */
export const metricsRoute = (metrics: Metrics): Route =>
  route({
    method: 'GET',
    path: at('/_synapse/metrics'),
    access: anyone,
    handle: async () => new Answer(200, await metrics.text(), { 'content-type': metrics.contentType }),
  });

/** The metrics at any path, for a listener of type `metrics`. */
export const metricsHandler =
  (metrics: Metrics): Handle =>
  (request, response) => {
    request.resume();
    const answer = async (): Promise<void> => {
      const text = await metrics.text();
      response.writeHead(200, { 'content-type': metrics.contentType }).end(text);
    };
    answer().catch(() => response.destroy());
  };
