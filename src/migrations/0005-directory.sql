-- Names for rooms, and the list of public rooms.

-- Aliases of this server. Shrinks when an alias is deleted and when a room is purged.
CREATE TABLE room_aliases (
  alias TEXT PRIMARY KEY,
  room_num BIGINT NOT NULL,
  -- the user who made it and may delete it
  creator_num BIGINT NOT NULL
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX room_aliases_by_room ON room_aliases (room_num);

-- Rooms on the list of public rooms. Shrinks when a room is taken off the list and when it is purged.
CREATE TABLE published_rooms (
  room_num BIGINT PRIMARY KEY
);
