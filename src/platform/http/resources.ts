import type { Route } from './route.ts';

/** One entry of a listener's `resources`. */
export interface ResourceSettings {
  readonly names: readonly string[];
  readonly compress: boolean;
}

/** Prefixes of paths and the resource names under which Synapse serves them; the first that fits decides. */
const RESOURCES: ReadonlyArray<readonly [prefix: string, names: readonly string[]]> = [
  ['/health', []],
  ['/_synapse/metrics', ['metrics']],
  ['/_synapse/replication', ['replication']],
  ['/_matrix/client/v1/media/', ['client', 'media']],
  ['/_matrix/federation/v1/media/', ['federation', 'media']],
  ['/_matrix/client/', ['client']],
  ['/_matrix/federation/v1/openid/', ['federation', 'openid']],
  ['/_matrix/federation/', ['federation']],
  ['/_matrix/key/', ['keys', 'federation']],
  ['/_matrix/media/', ['media']],
  ['/_matrix/consent', ['consent']],
  ['/_matrix/static', ['static', 'client']],
  ['/_matrix/app/', []],
  // The admin API (also that of media), single sign-on pages, well-known files and the root page.
  ['/_synapse/admin/v1/media', ['client', 'media']],
  ['/', ['client']],
];

/** The names under which a path is served; none means on every listener. */
export const resourceNames = (path: string): readonly string[] => RESOURCES.find(([prefix]) => path.startsWith(prefix))?.[1] ?? [];

/** The routes that a listener with these resources serves, and which of them it compresses. */
export const selectRoutes = (
  routes: readonly Route[],
  resources: readonly ResourceSettings[],
): { routes: readonly Route[]; compressed: ReadonlySet<Route> } => {
  const compressed = new Set<Route>();
  const isOn = (names: readonly string[], resource: ResourceSettings): boolean => names.some((name) => resource.names.includes(name));
  const selected = routes.flatMap((route) => {
    const paths = route.paths.filter((path) => {
      const names = resourceNames(path);
      return names.length === 0 || resources.some((resource) => isOn(names, resource));
    });
    if (paths.length === 0) return [];
    const served: Route = paths.length === route.paths.length ? route : { ...route, paths };
    if (resources.some((resource) => resource.compress && isOn(resourceNames(paths[0] ?? ''), resource))) compressed.add(served);
    return [served];
  });
  return { routes: selected, compressed };
};
