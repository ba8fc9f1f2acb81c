-- Rooms, their events and their state. Everything here carries room_num, so that a room is dropped by room.

-- One row per room that this server knows. Shrinks when a room is purged.
CREATE TABLE rooms (
  room_num BIGINT PRIMARY KEY,
  room_id TEXT NOT NULL UNIQUE,
  room_version TEXT NOT NULL,
  created_ts BIGINT NOT NULL
);

-- What changes with every event of a room: its forward extremities and the root of its current state. One row per room.
CREATE TABLE room_heads (
  room_num BIGINT PRIMARY KEY,
  -- JSON array of event numbers, sorted
  forward_extremities TEXT NOT NULL,
  -- the root of the current state's tree; '' is the empty state
  current_root TEXT NOT NULL
);

-- Every event, once. Shrinks by purging history, retention and purging rooms.
CREATE TABLE events (
  -- the surrogate number, given at first sight
  event_num BIGINT PRIMARY KEY,
  event_id TEXT NOT NULL UNIQUE,
  room_num BIGINT NOT NULL,
  type_num BIGINT NOT NULL,
  sender_num BIGINT NOT NULL,
  -- NULL for events that are not state
  state_key_num BIGINT,
  -- the sender's claim, clamped to what is safe
  depth BIGINT NOT NULL,
  -- live positions are above 0, backfill positions below; NULL for outliers, which are not in the timeline
  stream_position BIGINT,
  -- the writer whose position it is, by its number in strings
  writer_num BIGINT NOT NULL,
  -- the root of the state after the event; NULL for outliers
  state_root TEXT,
  -- bits: 1 rejected, 2 soft-failed
  facts BIGINT NOT NULL,
  -- why it was rejected or soft-failed, for the operator
  fault TEXT,
  -- the redaction that applies, by its event number
  redacted_by BIGINT,
  origin_server_ts BIGINT NOT NULL,
  -- the PDU: canonical JSON with hashes and signatures, without unsigned
  json TEXT NOT NULL
);
CREATE UNIQUE INDEX events_stream_position ON events (stream_position);
CREATE INDEX events_room_position ON events (room_num, stream_position);
CREATE INDEX events_room_depth ON events (room_num, depth, stream_position);

-- The auth events of state events, from which auth chains are walked. Shrinks with events.
CREATE TABLE event_auth (
  event_num BIGINT NOT NULL,
  auth_num BIGINT NOT NULL,
  PRIMARY KEY (event_num, auth_num)
) /*sqlite:WITHOUT ROWID*/;

-- The nodes of the rooms' state trees. Shrinks by the room writer's collection of what no root reaches.
CREATE TABLE state_nodes (
  room_num BIGINT NOT NULL,
  node_id TEXT NOT NULL,
  data BYTEA NOT NULL,
  PRIMARY KEY (room_num, node_id)
) /*sqlite:WITHOUT ROWID*/;

-- The root of a room's current state from a position on; a row only where it changed. Shrinks with events.
CREATE TABLE room_state_history (
  room_num BIGINT NOT NULL,
  stream_position BIGINT NOT NULL,
  current_root TEXT NOT NULL,
  PRIMARY KEY (room_num, stream_position)
) /*sqlite:WITHOUT ROWID*/;

-- Who is what in which room now. One row per room and user; shrinks when a room is purged.
CREATE TABLE memberships (
  room_num BIGINT NOT NULL,
  user_num BIGINT NOT NULL,
  membership TEXT NOT NULL,
  event_num BIGINT NOT NULL,
  -- whether the user is one of this server's
  is_local BIGINT NOT NULL,
  -- whether the user has forgotten the room after leaving it
  forgotten BIGINT NOT NULL,
  PRIMARY KEY (room_num, user_num)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX memberships_user ON memberships (user_num, room_num);

-- Each change of a local user's membership, by position, for sync. Shrinks with events.
CREATE TABLE membership_changes (
  user_num BIGINT NOT NULL,
  stream_position BIGINT NOT NULL,
  room_num BIGINT NOT NULL,
  event_num BIGINT NOT NULL,
  membership TEXT NOT NULL,
  PRIMARY KEY (user_num, stream_position)
) /*sqlite:WITHOUT ROWID*/;

-- Which event a client's transaction id made. Rows older than a day are removed by a janitor.
CREATE TABLE event_transactions (
  user_num BIGINT NOT NULL,
  device_id TEXT NOT NULL,
  room_num BIGINT NOT NULL,
  txn_id TEXT NOT NULL,
  event_num BIGINT NOT NULL,
  created_ts BIGINT NOT NULL,
  PRIMARY KEY (user_num, device_id, room_num, txn_id)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX event_transactions_created ON event_transactions (created_ts);

-- Redactions whose target has not been seen. Shrinks when the target arrives and when a room is purged.
CREATE TABLE pending_redactions (
  room_num BIGINT NOT NULL,
  target_event_id TEXT NOT NULL,
  redaction_num BIGINT NOT NULL,
  PRIMARY KEY (room_num, target_event_id, redaction_num)
) /*sqlite:WITHOUT ROWID*/;
