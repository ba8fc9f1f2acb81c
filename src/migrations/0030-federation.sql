-- What is known of other servers.

-- The keys with which other servers sign, or once signed. One row per key: old events are checked with old keys, so they stay.
CREATE TABLE server_keys (
  server_name TEXT NOT NULL,
  key_id TEXT NOT NULL,
  -- 32 bytes in unpadded Base64
  public_key TEXT NOT NULL,
  -- until when it may vouch for what was signed, in milliseconds
  valid_until_ts BIGINT NOT NULL,
  PRIMARY KEY (server_name, key_id)
) /*sqlite:WITHOUT ROWID*/;

-- What other servers last published about their keys, as they signed it: what this server, as a notary, hands on. One row per server and key; a newer
-- publication takes its place.
CREATE TABLE server_key_publications (
  server_name TEXT NOT NULL,
  key_id TEXT NOT NULL,
  json TEXT NOT NULL,
  fetched_ts BIGINT NOT NULL,
  valid_until_ts BIGINT NOT NULL,
  PRIMARY KEY (server_name, key_id)
) /*sqlite:WITHOUT ROWID*/;

-- Servers that could not be reached, and are left alone for a while. A row goes when the server is heard of again.
CREATE TABLE unreachable_servers (
  server_name TEXT PRIMARY KEY,
  failing_since_ts BIGINT NOT NULL,
  last_tried_ts BIGINT NOT NULL,
  retry_interval_ms BIGINT NOT NULL
);
