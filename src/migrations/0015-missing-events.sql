-- Which events are cited by events of a room and have not been here: where history ends for this server, and auth events for want of which an event is
-- rejected until they come. A row goes when the missing event arrives, and when its room is purged.
CREATE TABLE missing_events (
  room_num BIGINT NOT NULL,
  missing_event_id TEXT NOT NULL,
  -- the event that cites it
  event_num BIGINT NOT NULL,
  -- 1 if as an auth event, 0 if as one that it follows
  is_auth BIGINT NOT NULL,
  PRIMARY KEY (room_num, missing_event_id, event_num)
) /*sqlite:WITHOUT ROWID*/;
