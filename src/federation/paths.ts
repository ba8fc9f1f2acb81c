import type { PathSet } from '#src/platform/http/route.ts';

/** An endpoint under `/_matrix/federation/{version}`. */
export const federationPath = <Path extends string>(version: 'v1' | 'v2' | 'unstable', template: Path): PathSet<Path> => ({
  template,
  paths: [`/_matrix/federation/${version}${template}`],
});
