-- Users of this server. Shrinks: never by itself; deactivation empties the password and keeps the name taken.
CREATE TABLE users (
  user_num BIGINT PRIMARY KEY, -- the number of the whole user id in `strings`
  localpart TEXT NOT NULL,
  localpart_folded TEXT NOT NULL, -- in lower case: log-in does not mind case, and no two new names may differ by case only
  password_hash TEXT, -- bcrypt of the peppered password; NULL when there is none to log in with
  created_ts BIGINT NOT NULL,
  is_guest BIGINT NOT NULL,
  is_admin BIGINT NOT NULL,
  deactivated BIGINT NOT NULL,
  user_type TEXT -- NULL, 'support' or 'bot'
);
CREATE INDEX users_by_folded_localpart ON users (localpart_folded);

-- Log-ins, in the shape of OAuth 2.0: a session belongs to a user, mostly has a device, and obtains tokens.
-- Shrinks: log-out, deletion of the device, deactivation; a janitor takes those whose `expires_ts` is long past.
CREATE TABLE sessions (
  session_num BIGINT PRIMARY KEY, -- a position of the stream `sessions`: never given out twice
  user_num BIGINT NOT NULL,
  device_id TEXT,
  client TEXT, -- the OAuth client; NULL for the log-in API
  scopes TEXT NOT NULL, -- separated by spaces, as OAuth writes them
  created_ts BIGINT NOT NULL,
  expires_ts BIGINT -- the end that no refresh can move (`session_lifetime`)
);
CREATE INDEX sessions_by_user ON sessions (user_num, device_id);
CREATE INDEX sessions_by_end ON sessions (expires_ts) WHERE expires_ts IS NOT NULL;

-- Access tokens, by the SHA-256 of the token. Shrinks: with the session; a refresh drops all but the last two of its session.
CREATE TABLE access_tokens (
  hash BYTEA PRIMARY KEY,
  session_num BIGINT NOT NULL,
  expires_ts BIGINT,
  refresh_hash BYTEA, -- the refresh token that came with it
  used BIGINT NOT NULL -- whether a request was made with it; kept only where `refresh_hash` is set
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX access_tokens_by_session ON access_tokens (session_num);

-- Refresh tokens, by the SHA-256 of the token. Shrinks: as access tokens do.
CREATE TABLE refresh_tokens (
  hash BYTEA PRIMARY KEY,
  session_num BIGINT NOT NULL,
  expires_ts BIGINT,
  next_hash BYTEA -- the refresh token that it was exchanged for; until that is used, this one may be used again
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_num);

-- Tokens that let somebody register. Shrinks: the admin API deletes them.
CREATE TABLE registration_tokens (
  token TEXT PRIMARY KEY,
  uses_allowed BIGINT, -- NULL: any number
  pending BIGINT NOT NULL,
  completed BIGINT NOT NULL,
  expiry_time BIGINT -- milliseconds since the epoch
);

-- User-interactive authentication in progress. Shrinks: a janitor deletes sessions after 48 hours.
CREATE TABLE interactive_sessions (
  session_id TEXT PRIMARY KEY,
  created_ts BIGINT NOT NULL,
  method TEXT NOT NULL,
  uri TEXT NOT NULL,
  params TEXT NOT NULL, -- JSON: the request's body without `auth`, as last sent
  completed TEXT NOT NULL, -- JSON: stage to its result
  data TEXT NOT NULL -- JSON: what the server keeps for the session
);
CREATE INDEX interactive_sessions_by_age ON interactive_sessions (created_ts);

-- Where a device was last seen. Shrinks: a janitor deletes rows older than `user_ips_max_age`, but for the newest of each device that is logged in.
CREATE TABLE client_ips (
  user_num BIGINT NOT NULL,
  device_id TEXT NOT NULL, -- '' for a session without a device
  ip TEXT NOT NULL,
  user_agent TEXT NOT NULL,
  last_seen_ts BIGINT NOT NULL,
  PRIMARY KEY (user_num, device_id, ip)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX client_ips_by_age ON client_ips (last_seen_ts);

-- Devices of this server's users. Shrinks: log-out and deletion.
CREATE TABLE devices (
  user_num BIGINT NOT NULL,
  device_id TEXT NOT NULL,
  display_name TEXT,
  created_ts BIGINT NOT NULL,
  PRIMARY KEY (user_num, device_id)
) /*sqlite:WITHOUT ROWID*/;

-- Names and avatars of this server's users, a row each; `position` is that of its last change in the stream `profiles`.
-- Shrinks: it does not grow but by users.
CREATE TABLE profiles (
  user_num BIGINT PRIMARY KEY,
  displayname TEXT,
  avatar_url TEXT,
  position BIGINT NOT NULL
);
CREATE INDEX profiles_by_position ON profiles (position);

-- Filters that clients have stored. Shrinks: with the user; equal filters are stored once, and a user has a limited number.
CREATE TABLE user_filters (
  user_num BIGINT NOT NULL,
  filter_num BIGINT NOT NULL, -- counted up from 0 for each user
  hash BYTEA NOT NULL, -- SHA-256 of the definition
  definition TEXT NOT NULL, -- canonical JSON
  PRIMARY KEY (user_num, filter_num)
) /*sqlite:WITHOUT ROWID*/;
CREATE UNIQUE INDEX user_filters_by_hash ON user_filters (user_num, hash);
