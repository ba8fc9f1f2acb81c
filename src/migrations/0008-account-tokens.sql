-- What is made for one purpose and soon over, and what is left to do for accounts that are closed.

-- Tokens to log in with once, by their SHA-256. Shrinks: with their use; a janitor takes those that have expired.
CREATE TABLE login_tokens (
  hash BYTEA PRIMARY KEY,
  user_num BIGINT NOT NULL,
  expires_ts BIGINT NOT NULL
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX login_tokens_by_end ON login_tokens (expires_ts);

-- Tokens by which a user proves to others who it is, by their SHA-256. Shrinks: a janitor takes those that have expired.
CREATE TABLE openid_tokens (
  hash BYTEA PRIMARY KEY,
  user_num BIGINT NOT NULL,
  expires_ts BIGINT NOT NULL
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX openid_tokens_by_end ON openid_tokens (expires_ts);

-- Deactivated users who have yet to leave their rooms. Shrinks: when they have left.
CREATE TABLE pending_partings (
  user_num BIGINT PRIMARY KEY
);

-- Users who want what they wrote forgotten as far as that is possible. Shrinks: when an administrator reactivates the user.
CREATE TABLE erased_users (
  user_num BIGINT PRIMARY KEY
);
