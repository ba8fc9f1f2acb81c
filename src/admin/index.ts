export { destinationRoutes } from '#src/admin/destinations/routes.ts';
export { encryptionReportRoutes } from '#src/admin/encryption/routes.ts';
export { adminReportRoutes } from '#src/admin/reports.ts';
export { whoisRoutes } from '#src/admin/whois.ts';
export { adminRoutes } from '#src/admin/routes.ts';
export { adminPusherRoutes } from '#src/admin/pushers.ts';
