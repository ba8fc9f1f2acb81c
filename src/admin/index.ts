export { adminRoutes } from '#src/admin/routes.ts';
