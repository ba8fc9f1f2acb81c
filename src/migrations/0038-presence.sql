-- How users were last seen, as far as it must outlive the process: written some seconds after it has changed.

-- Shrinks: one row for each user of this server, which goes with the account; users of other servers have one only while they are not offline.
CREATE TABLE presence (
  user_num BIGINT PRIMARY KEY,
  -- online, unavailable, offline, busy
  state TEXT NOT NULL,
  -- when the user was last active; 0 for never
  last_active_ms BIGINT NOT NULL,
  -- what the user says of it, as a JSON text
  status_msg TEXT,
  -- where the last change stands in the stream of presence, whose positions are milliseconds
  changed_ms BIGINT NOT NULL
);
CREATE INDEX presence_changed ON presence (changed_ms);
