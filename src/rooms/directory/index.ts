export { ENTRY_TYPES, type EntryState, type RoomEntry, roomEntry } from '#src/rooms/directory/entry.ts';
export { PublicRoomsList, publicRoomsQuery, publicRoomsRoutes, PublicRoomsSearch } from '#src/rooms/directory/list-routes.ts';
export { createPublicRooms } from '#src/rooms/directory/public-rooms.ts';
export type { PublicRooms } from '#src/rooms/directory/public-rooms.ts';
export { directoryRoutes } from '#src/rooms/directory/routes.ts';
export { createDirectory } from '#src/rooms/directory/service.ts';
export type { Directory } from '#src/rooms/directory/service.ts';
export type { RemoteDirectory } from '#src/rooms/directory/remote.ts';
