-- The public keys of devices, for end-to-end encryption. All of it goes with the device.

-- What a device says of itself, as it was uploaded and signed. Shrinks: with the device.
CREATE TABLE device_keys (
  user_num BIGINT NOT NULL,
  device_id TEXT NOT NULL,
  json TEXT NOT NULL,
  PRIMARY KEY (user_num, device_id)
) /*sqlite:WITHOUT ROWID*/;

-- Keys that each begin one conversation. Shrinks: with each claim, and with the device.
CREATE TABLE one_time_keys (
  user_num BIGINT NOT NULL,
  device_id TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  key_id TEXT NOT NULL,
  json TEXT NOT NULL, -- canonical
  uploaded_ts BIGINT NOT NULL, -- the oldest are claimed first
  PRIMARY KEY (user_num, device_id, algorithm, key_id)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX one_time_keys_by_age ON one_time_keys (user_num, device_id, algorithm, uploaded_ts);

-- The key of each algorithm that is given out when there is no one-time key left. Shrinks: with the device.
CREATE TABLE fallback_keys (
  user_num BIGINT NOT NULL,
  device_id TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  key_id TEXT NOT NULL,
  json TEXT NOT NULL, -- canonical
  used BIGINT NOT NULL, -- whether it was given out
  PRIMARY KEY (user_num, device_id, algorithm)
) /*sqlite:WITHOUT ROWID*/;

-- Whose devices or keys have changed: a row for each user, at the position of the last change in the stream `device_lists`.
-- Shrinks: it does not grow but by users.
CREATE TABLE device_lists (
  user_num BIGINT PRIMARY KEY,
  position BIGINT NOT NULL
);
CREATE INDEX device_lists_by_position ON device_lists (position);
