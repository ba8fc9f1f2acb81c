-- Rooms in which there may be state nodes that no root reaches, and when to look for them; 0 while that is being done, so that one that was interrupted is begun
-- anew. A row is made by what can leave such nodes (a fork that was resolved, an event that was judged again) and goes when they have been removed.
CREATE TABLE state_collections (
  room_num BIGINT PRIMARY KEY,
  due_ts BIGINT NOT NULL
);
