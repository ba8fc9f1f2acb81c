-- One-time keys that were handed out, and that their device may upload once more: a client whose upload got no answer makes it again, and a key that
-- was claimed in between must not come back. Shrinks: a device's next upload deletes those that it does not name; and with the device.
CREATE TABLE claimed_keys (
  user_num BIGINT NOT NULL,
  device_id TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  key_id TEXT NOT NULL,
  json TEXT NOT NULL, -- canonical
  PRIMARY KEY (user_num, device_id, algorithm, key_id)
) /*sqlite:WITHOUT ROWID*/;
