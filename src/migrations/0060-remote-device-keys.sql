-- What other servers have told of the devices of their users, for those who share rooms with users of this one (`remote_device_lists` says up to where). Their cross-signing keys
-- stand in `cross_signing_keys`. Shrinks: a user's rows are replaced when the list is fetched, and go when it is asked for and no room is shared any more.
CREATE TABLE remote_device_keys (
  user_num BIGINT NOT NULL,
  device_id TEXT NOT NULL,
  -- the device's keys as its server tells them, with its name in `unsigned`
  json TEXT NOT NULL,
  PRIMARY KEY (user_num, device_id)
) /*sqlite:WITHOUT ROWID*/;
