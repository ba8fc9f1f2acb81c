-- Leaves of this server's users that no server of their rooms could be told of: invites that were declined and knocks that were taken back. One row for each room and user.
-- Shrinks: a row goes when a server has been told or does not want to know, when something else has become of the user, and after ten tries, in some two days.
CREATE TABLE untold_leaves (
  room_num BIGINT NOT NULL,
  user_num BIGINT NOT NULL,
  -- the leave as it is here
  event_num BIGINT NOT NULL,
  -- JSON array of the servers to tell
  servers TEXT NOT NULL,
  tries BIGINT NOT NULL,
  retry_ts BIGINT NOT NULL,
  PRIMARY KEY (room_num, user_num)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX untold_leaves_by_time ON untold_leaves (retry_ts);
