export { isMembership, membershipIn } from '#src/rooms/membership/changes.ts';
export type { MemberChange } from '#src/rooms/membership/changes.ts';
export { createLeaveRooms } from '#src/rooms/membership/parting.ts';
export { createProfileChanges } from '#src/rooms/membership/profile-changes.ts';
export { authoriserFor, checkConditions } from '#src/rooms/membership/restricted.ts';
export type { RestrictedReads } from '#src/rooms/membership/restricted.ts';
export { membershipRoutes } from '#src/rooms/membership/routes.ts';
export { createMembership } from '#src/rooms/membership/service.ts';
export type { Membership } from '#src/rooms/membership/service.ts';
