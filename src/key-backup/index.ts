export { keyBackupRoutes } from '#src/key-backup/routes.ts';
export { createKeyBackup } from '#src/key-backup/service.ts';
export { deleteKeyBackupsOf } from '#src/key-backup/store.ts';
