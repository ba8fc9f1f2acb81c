-- What other servers have yet to be sent. Events that are sent within seconds leave nothing here: the outbox follows the events' stream, and begins again
-- after a crash where everything had been sent, or stood here.

-- Rooms in which a server that is slow or cannot be reached lacks events of this server. Shrinks: goes when the server has what it lacks, when the room has
-- nothing for it any more, and when the room is purged.
CREATE TABLE outbox_rooms (
  destination TEXT NOT NULL,
  room_num BIGINT NOT NULL,
  -- the first event that it may lack
  from_position BIGINT NOT NULL,
  PRIMARY KEY (destination, room_num)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX outbox_rooms_by_room ON outbox_rooms (room_num);

-- Servers that this one has sent to, or meant to. One row per server; they stay, as what is known of the world.
CREATE TABLE destinations (
  destination TEXT PRIMARY KEY,
  -- the last event that it took; NULL for none. Written now and then, for people to read
  last_sent_position BIGINT,
  -- why the last try failed, and when; NULL when the last one did not
  last_error TEXT,
  last_error_ts BIGINT
);
