-- How far each state event is from the beginning over auth events: one more than the furthest of those that it cites, 0 for one that cites none. What an
-- event's auth chain holds is of lower generations, so chains are compared from the top and only as far down as they differ.

-- One row per state event. Shrinks with events.
CREATE TABLE auth_generations (
  event_num BIGINT PRIMARY KEY,
  generation BIGINT NOT NULL
);
CREATE INDEX event_auth_cited ON event_auth (auth_num, event_num);

INSERT INTO background_updates (name, progress_json, depends_on, ordering)
  SELECT 'auth_generations', '{}', NULL, 0 WHERE EXISTS (SELECT event_num FROM events);
