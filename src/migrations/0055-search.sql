-- In which messages, room names and topics which words stand.

-- One row for each word of an event, folded; in the order of code points, so that those that begin alike stand together, and room by room, so that nobody's search looks into rooms
-- of others. Shrinks: an event's rows go when it is redacted, and a room's when it is purged.
CREATE TABLE search_words (
  room_num BIGINT NOT NULL,
  word TEXT /*postgres:COLLATE "C"*/ NOT NULL,
  origin_server_ts BIGINT NOT NULL,
  event_num BIGINT NOT NULL,
  -- where it stands: 0 is content.body, 1 content.name, 2 content.topic
  key_num BIGINT NOT NULL,
  -- how much of the event the word is, of 1000
  weight BIGINT NOT NULL,
  PRIMARY KEY (room_num, word, origin_server_ts, event_num)
) /*sqlite:WITHOUT ROWID*/;

INSERT INTO background_updates (name, progress_json, depends_on, ordering)
  SELECT 'search_index', '{}', NULL, 1 WHERE EXISTS (SELECT event_num FROM events);
