-- Messages from device to device.

-- What has yet to reach a device of this server's users, as clients get it. Shrinks: when the device syncs with a token that shows that it has them, and
-- with the device.
CREATE TABLE to_device_inbox (
  user_num BIGINT NOT NULL,
  device_id TEXT NOT NULL,
  position BIGINT NOT NULL, -- in the stream `to_device`; all messages of one request have the same
  message TEXT NOT NULL, -- JSON
  PRIMARY KEY (user_num, device_id, position)
);

-- Which requests have been done, so that one that is repeated sends nothing again. Shrinks: a janitor deletes rows older than a day; and with the device.
CREATE TABLE to_device_transactions (
  user_num BIGINT NOT NULL,
  device_id TEXT NOT NULL, -- `session <number>` for a session without a device
  event_type TEXT NOT NULL,
  txn_id TEXT NOT NULL,
  created_ts BIGINT NOT NULL,
  PRIMARY KEY (user_num, device_id, event_type, txn_id)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX to_device_transactions_by_age ON to_device_transactions (created_ts);

-- What has yet to be sent to other servers: contents of `m.direct_to_device`. Shrinks: when it has been sent; a janitor deletes rows older than a week.
CREATE TABLE to_device_outbox (
  destination TEXT NOT NULL,
  position BIGINT NOT NULL, -- in the stream `to_device`
  content TEXT NOT NULL, -- JSON
  created_ts BIGINT NOT NULL,
  PRIMARY KEY (destination, position)
);
CREATE INDEX to_device_outbox_by_age ON to_device_outbox (created_ts);
