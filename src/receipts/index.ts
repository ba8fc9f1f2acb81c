export { receiptRoutes } from '#src/receipts/routes.ts';
export { createReceipts } from '#src/receipts/service.ts';
export type { OwnReceipt, Receipts } from '#src/receipts/service.ts';
