import { startHomeserver } from '#src/homeserver.ts';
import { systemClock } from '#src/platform/clock.ts';
import { testConfig } from '#src/platform/config/index.ts';
import { createHost } from '#src/platform/host.ts';
import { createLogging } from '#src/platform/logging/index.ts';
import { hasSpecification, specifiedEndpoints } from './openapi.ts';

export interface RouteName {
  readonly method: string;
  /** With parameters in braces, as in `/_matrix/client/v3/rooms/{roomId}/leave`. */
  readonly template: string;
}

const silence = { write: () => undefined, flush: () => undefined, close: () => undefined };

/** All routes that the homeserver itself names. */
const ownRoutes = async (): Promise<RouteName[]> => {
  const host = createHost({ clock: systemClock, logging: createLogging({ clock: systemClock, sink: silence }) });
  const homeserver = await startHomeserver(testConfig(), host);
  await homeserver.stop();
  await host.close();
  return homeserver.routes.flatMap(({ method, paths }) =>
    paths.map((path) => ({ method, template: path.replaceAll(/:(\w+)/g, (_, name: string) => `{${name}}`) })),
  );
};

/** All routes that the homeserver answers, and all that the specification knows whether they are answered or not. */
export const everyRoute = async (): Promise<RouteName[]> => {
  const all = [...(await ownRoutes()), ...(hasSpecification ? specifiedEndpoints() : [])];
  return [...new Map(all.map((route) => [`${route.method} ${route.template.replaceAll(/\{[^}]+\}/g, '{}')}`, route])).values()];
};
