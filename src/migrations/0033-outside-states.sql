-- What other servers have told of rooms that this server is not in, when they invited its users or took in their knocks. One row per room and user; the next invite takes its
-- place. Shrinks: goes when the user is neither invited nor knocking any more, and when the room is purged.
CREATE TABLE outside_states (
  room_num BIGINT NOT NULL,
  user_num BIGINT NOT NULL,
  -- the invite or knock
  event_num BIGINT NOT NULL,
  -- the server that told: the user can answer by way of it
  server_name TEXT NOT NULL,
  -- JSON array of stripped state events
  state TEXT NOT NULL,
  PRIMARY KEY (room_num, user_num)
) /*sqlite:WITHOUT ROWID*/;
