-- The device of a user that is kept asleep on the server, to take in messages while nobody is signed in (MSC3814); at most one for each user.
-- Shrinks: with the device.
CREATE TABLE dehydrated_devices (
  user_num BIGINT PRIMARY KEY,
  device_id TEXT NOT NULL,
  device_data TEXT NOT NULL -- JSON: the device itself, encrypted for its user
);
