-- What other servers have sent.

-- Events that are taken in but not yet judged, in the order in which they came. Shrinks: a row goes when its event has been through the gate, or is given up; of each server
-- only so many wait at a time.
CREATE TABLE staged_pdus (
  position BIGINT PRIMARY KEY, -- in the stream `staged_pdus`
  room_num BIGINT NOT NULL,
  -- the server that sent it, which is asked for what it cites
  origin TEXT NOT NULL,
  json TEXT NOT NULL
);
CREATE INDEX staged_pdus_by_room ON staged_pdus (room_num);

-- What transactions were answered, so that one that comes again is answered the same and does nothing. Shrinks: a janitor deletes rows older than a month.
CREATE TABLE received_transactions (
  origin TEXT NOT NULL,
  txn_id TEXT NOT NULL,
  answer TEXT NOT NULL,
  received_ts BIGINT NOT NULL,
  PRIMARY KEY (origin, txn_id)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX received_transactions_by_age ON received_transactions (received_ts);
