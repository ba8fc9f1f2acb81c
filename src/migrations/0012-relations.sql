-- What events relate to, as their `m.relates_to` says: reactions, edits, threads. Replies alone are no relations.

-- One row per event that states a relation. Shrinks with events.
CREATE TABLE event_relations (
  event_num BIGINT PRIMARY KEY,
  room_num BIGINT NOT NULL,
  -- the id of the event that it relates to, which may be one that this server has not seen
  target_event_id TEXT NOT NULL,
  relation_type TEXT NOT NULL,
  -- what an annotation says of its target; NULL for other relations
  annotation_key TEXT
);
CREATE INDEX event_relations_by_target ON event_relations (target_event_id, relation_type, event_num);
