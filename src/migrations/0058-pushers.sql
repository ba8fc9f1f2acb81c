-- Where users have their notifications sent (client-server API, Push Notifications).

-- One row per pusher. A row goes when its user removes it, when the session that made it ends, when its gateway rejects it, and when its user's account is closed.
CREATE TABLE pushers (
  app_id TEXT NOT NULL,
  pushkey TEXT NOT NULL,
  user_num BIGINT NOT NULL,
  kind TEXT NOT NULL,
  app_display_name TEXT NOT NULL,
  device_display_name TEXT NOT NULL,
  profile_tag TEXT NOT NULL,
  lang TEXT NOT NULL,
  -- JSON
  data TEXT NOT NULL,
  -- the session that made it
  session_num BIGINT NOT NULL,
  device_id TEXT,
  enabled BIGINT NOT NULL,
  created_ts BIGINT NOT NULL,
  -- up to where in the stream of events everything is told or written down; what came before it was made is not told
  last_position BIGINT NOT NULL,
  -- since when its gateway does not take notifications
  failing_since_ts BIGINT,
  PRIMARY KEY (app_id, pushkey, user_num)
);
CREATE INDEX pushers_by_user ON pushers (user_num);
CREATE INDEX pushers_by_session ON pushers (session_num);

-- Notifications that a gateway has not taken at the first try. A row goes when it has taken it, when it is given up after a day, with its pusher, and when its room is purged.
CREATE TABLE pending_pushes (
  user_num BIGINT NOT NULL,
  app_id TEXT NOT NULL,
  pushkey TEXT NOT NULL,
  -- the event's place in the stream of events
  position BIGINT NOT NULL,
  event_num BIGINT NOT NULL,
  room_num BIGINT NOT NULL,
  -- the actions of the rule that matched, JSON
  actions TEXT NOT NULL,
  PRIMARY KEY (user_num, app_id, pushkey, position)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX pending_pushes_by_room ON pending_pushes (room_num);
