-- The threads of rooms, in the order of what was said last.

-- One row per thread, named by its root, with the place in history of the latest event that says it is in it. Shrinks when a room is purged.
CREATE TABLE threads (
  room_num BIGINT NOT NULL,
  root_event_id TEXT NOT NULL,
  latest_depth BIGINT NOT NULL,
  latest_position BIGINT NOT NULL,
  PRIMARY KEY (room_num, root_event_id)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX threads_latest ON threads (room_num, latest_depth, latest_position);

INSERT INTO threads (room_num, root_event_id, latest_depth, latest_position)
SELECT room_num, target_event_id, depth, stream_position FROM (
  SELECT r.room_num, r.target_event_id, e.depth, e.stream_position, ROW_NUMBER() OVER (
    PARTITION BY r.room_num, r.target_event_id ORDER BY e.depth DESC, e.stream_position DESC
  ) AS place
  FROM event_relations r JOIN events e ON e.event_num = r.event_num
  WHERE r.relation_type = 'm.thread' AND e.stream_position IS NOT NULL
) AS latest WHERE place = 1;
