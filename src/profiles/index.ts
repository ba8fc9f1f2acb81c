export { profileRoutes } from '#src/profiles/routes.ts';
export { createProfiles, profilePort } from '#src/profiles/service.ts';
export type { ChangedProfile, Profile, Profiles } from '#src/profiles/service.ts';
