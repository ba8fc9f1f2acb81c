export { userDirectoryRoutes } from '#src/user-directory/routes.ts';
export { createUserDirectory, type UserDirectory } from '#src/user-directory/service.ts';
