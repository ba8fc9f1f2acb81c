-- What clients keep on the server for their user: settings, tags, read markers.

-- One row per user, room and type. Shrinks when the user is deactivated and, for a room's data, when the room is purged.
CREATE TABLE account_data (
  user_num BIGINT NOT NULL,
  -- 0 for what belongs to no room
  room_num BIGINT NOT NULL,
  data_type TEXT NOT NULL,
  -- a JSON object
  content TEXT NOT NULL,
  -- in the stream account_data; moves on with each change
  stream_position BIGINT NOT NULL,
  PRIMARY KEY (user_num, room_num, data_type)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX account_data_changes ON account_data (user_num, stream_position);
