export { isMembership } from '#src/rooms/membership/changes.ts';
export type { MemberChange } from '#src/rooms/membership/changes.ts';
export { createLeaveRooms } from '#src/rooms/membership/parting.ts';
export { createProfileChanges } from '#src/rooms/membership/profile-changes.ts';
export { membershipRoutes } from '#src/rooms/membership/routes.ts';
export { createMembership } from '#src/rooms/membership/service.ts';
export type { Membership } from '#src/rooms/membership/service.ts';
