export { childOf, createEntries, type EntryTools, type SpaceEntry } from '#src/spaces/entries.ts';
export { createHierarchy, type Hierarchy } from '#src/spaces/hierarchy.ts';
export type { RemoteSpace, RemoteSpaces } from '#src/spaces/ports.ts';
export { spaceRoutes } from '#src/spaces/routes.ts';
