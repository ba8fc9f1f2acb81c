export { createReportReading, type ReportPage, type ReportReading } from '#src/reports/reading.ts';
export { reportRoutes } from '#src/reports/routes.ts';
export { createReports } from '#src/reports/service.ts';
