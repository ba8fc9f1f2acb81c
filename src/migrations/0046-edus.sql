-- What other servers send beside events.

-- Which messages to devices were taken in, by the ids that their server gave them, so that one that is sent again is not delivered again. Shrinks: a janitor deletes rows older than
-- a week.
CREATE TABLE received_messages (
  origin TEXT NOT NULL,
  message_id TEXT NOT NULL,
  received_ts BIGINT NOT NULL,
  PRIMARY KEY (origin, message_id)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX received_messages_by_age ON received_messages (received_ts);

-- Up to where the changes of other servers' users' devices are known. Shrinks: one row for each user of another server who has shared a room with one of this.
CREATE TABLE remote_device_lists (
  user_num BIGINT PRIMARY KEY,
  last_id TEXT NOT NULL, -- the `stream_id` of the last change
  is_stale BIGINT NOT NULL -- 1 where a change was missed: the whole list has to be asked for
);
CREATE INDEX remote_device_lists_stale ON remote_device_lists (is_stale, user_num);
