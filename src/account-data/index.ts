export { accountDataRoutes } from '#src/account-data/routes.ts';
export { createAccountData, deleteAccountDataOf } from '#src/account-data/service.ts';
export type { AccountData } from '#src/account-data/service.ts';
