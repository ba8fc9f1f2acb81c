export { whoisRoutes } from '#src/admin/whois.ts';
export { adminRoutes } from '#src/admin/routes.ts';
