-- How far people have read.

-- The last receipt of each user, type and thread in a room. Shrinks when the room is purged.
CREATE TABLE receipts (
  room_num BIGINT NOT NULL,
  user_num BIGINT NOT NULL,
  -- m.read, or m.read.private which nobody else may see
  receipt_type TEXT NOT NULL,
  -- '' for a receipt of the whole room; 'main', or the id of the thread's root event
  thread_id TEXT NOT NULL,
  event_id TEXT NOT NULL,
  -- where that event stands in the stream of events
  event_position BIGINT NOT NULL,
  received_ts BIGINT NOT NULL,
  -- in the stream receipts; moves on with each receipt
  stream_position BIGINT NOT NULL,
  PRIMARY KEY (room_num, user_num, receipt_type, thread_id)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX receipts_changes ON receipts (room_num, stream_position);
