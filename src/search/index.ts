export { searchRoutes } from '#src/search/routes.ts';
export { createSearch, type Search } from '#src/search/service.ts';
