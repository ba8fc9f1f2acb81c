export { deleteFiltersOf } from '#src/filters/store.ts';
export { allows, parseEventFilter, relatedByOf, roomEventFilterOf } from '#src/filters/parse.ts';
export type { Filterable, RoomEventFilter, SyncFilter } from '#src/filters/parse.ts';
export { filterRoutes } from '#src/filters/routes.ts';
export { createFilters } from '#src/filters/service.ts';
export type { Filters } from '#src/filters/service.ts';
