-- What users have put into their profiles beside names and avatars: a row for each field, its value as JSON.
-- Shrinks: with the user; a profile has a size limit.
CREATE TABLE profile_fields (
  user_num BIGINT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (user_num, name)
) /*sqlite:WITHOUT ROWID*/;
