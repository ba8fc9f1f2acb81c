import { Type } from '#src/platform/schema.ts';
import type { Static } from '#src/platform/schema.ts';

const Strings = Type.Array(Type.String());
const UserIds = Type.Array(Type.String({ pattern: '^@[^:]*:.+$' }));
const RoomIds = Type.Array(Type.String({ pattern: '^!.+$' }));

/** A filter of account data and presence (client-server API, "EventFilter"). */
const EventFilterJson = Type.Object({
  limit: Type.Optional(Type.Number()),
  senders: Type.Optional(UserIds),
  not_senders: Type.Optional(UserIds),
  types: Type.Optional(Strings),
  not_types: Type.Optional(Strings),
});

/** A filter of what is in rooms ("RoomEventFilter"), as it stands in a sync filter or in the query of `/messages`. */
export const RoomEventFilterJson = Type.Object({
  limit: Type.Optional(Type.Number()),
  senders: Type.Optional(UserIds),
  not_senders: Type.Optional(UserIds),
  types: Type.Optional(Strings),
  not_types: Type.Optional(Strings),
  rooms: Type.Optional(RoomIds),
  not_rooms: Type.Optional(RoomIds),
  contains_url: Type.Optional(Type.Boolean()),
  lazy_load_members: Type.Optional(Type.Boolean()),
  include_redundant_members: Type.Optional(Type.Boolean()),
  unread_thread_notifications: Type.Optional(Type.Boolean()),
  'org.matrix.msc3773.unread_thread_notifications': Type.Optional(Type.Boolean()),
  'org.matrix.labels': Type.Optional(Strings),
  'org.matrix.not_labels': Type.Optional(Strings),
  related_by_senders: Type.Optional(Strings),
  related_by_rel_types: Type.Optional(Strings),
  'org.matrix.msc3874.rel_types': Type.Optional(Strings),
  'org.matrix.msc3874.not_rel_types': Type.Optional(Strings),
});

/** A filter of `/sync`, as clients store and send it. Keys that are not known are kept. */
export const SyncFilterJson = Type.Object({
  presence: Type.Optional(EventFilterJson),
  account_data: Type.Optional(EventFilterJson),
  room: Type.Optional(
    Type.Object({
      rooms: Type.Optional(RoomIds),
      not_rooms: Type.Optional(RoomIds),
      include_leave: Type.Optional(Type.Boolean()),
      state: Type.Optional(RoomEventFilterJson),
      timeline: Type.Optional(RoomEventFilterJson),
      ephemeral: Type.Optional(RoomEventFilterJson),
      account_data: Type.Optional(RoomEventFilterJson),
    }),
  ),
  event_format: Type.Optional(Type.Union([Type.Literal('client'), Type.Literal('federation')])),
  // A backslash can only come before a dot or a backslash, as an escape; Synapse refuses a doubled one.
  event_fields: Type.Optional(Type.Array(Type.String({ pattern: String.raw`^((?!\\\\).)*$` }))),
});

export type RoomEventFilterJson = Static<typeof RoomEventFilterJson>;
export type SyncFilterJson = Static<typeof SyncFilterJson>;
