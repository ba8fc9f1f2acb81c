-- Whom users of this server can find by names.

-- One row for each user of this server, and for each of another who is in a room with one of this. Users of this server stay, as their names stay taken; the others go when they
-- are in no room of this server any more.
CREATE TABLE user_directory (
  user_num BIGINT PRIMARY KEY,
  user_id TEXT /*postgres:COLLATE "C"*/ NOT NULL,
  display_name TEXT,
  avatar_url TEXT,
  is_local BIGINT NOT NULL,
  -- how many words it is found by
  words BIGINT NOT NULL,
  -- when the user's server is to be asked for the profile; NULL where that need not be
  refresh_ts BIGINT,
  -- how often in a row asking has failed
  failures BIGINT NOT NULL
);
CREATE INDEX user_directory_refresh ON user_directory (refresh_ts) WHERE refresh_ts IS NOT NULL;

-- The words of their names, folded. In the order of code points, so that those that begin alike stand together. Shrinks with the directory.
CREATE TABLE user_directory_words (
  word TEXT /*postgres:COLLATE "C"*/ NOT NULL,
  user_num BIGINT NOT NULL,
  PRIMARY KEY (word, user_num)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX user_directory_words_of ON user_directory_words (user_num);

-- The rooms that this server is in and whose members the directory knows. A row goes when this server's last user leaves, and when the room is purged.
CREATE TABLE user_directory_rooms (
  room_num BIGINT PRIMARY KEY,
  -- whether everybody can come in or read it, so that its members are no secret
  is_public BIGINT NOT NULL
);

INSERT INTO background_updates (name, progress_json, depends_on, ordering)
  SELECT 'regenerate_directory', '{}', NULL, 0 WHERE EXISTS (SELECT event_num FROM events);
