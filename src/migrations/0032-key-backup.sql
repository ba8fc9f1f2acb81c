-- Backups of room keys, which their owners' clients have encrypted.

-- One row per version of somebody's backup. A deleted version keeps its row, so that its number is not given again. Shrinks: with the user.
CREATE TABLE key_backup_versions (
  user_num BIGINT NOT NULL,
  version BIGINT NOT NULL,
  algorithm TEXT NOT NULL,
  auth_data TEXT NOT NULL, -- JSON
  etag BIGINT NOT NULL, -- moves on whenever the keys change
  key_count BIGINT NOT NULL,
  is_deleted BIGINT NOT NULL,
  PRIMARY KEY (user_num, version)
) /*sqlite:WITHOUT ROWID*/;

-- The keys, one row per session. Shrinks: with the version.
CREATE TABLE key_backup_sessions (
  user_num BIGINT NOT NULL,
  version BIGINT NOT NULL,
  room_id TEXT NOT NULL,
  session_id TEXT NOT NULL,
  first_message_index BIGINT NOT NULL,
  forwarded_count BIGINT NOT NULL,
  is_verified BIGINT NOT NULL,
  session_data TEXT NOT NULL, -- JSON
  PRIMARY KEY (user_num, version, room_id, session_id)
);
