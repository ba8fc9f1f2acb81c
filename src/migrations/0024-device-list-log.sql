-- What changed in the lists of devices, so that who follows a list can tell whether a change was missed. `device_lists` still has each user's last
-- change, by which `/sync` answers any token however old.

-- A row for each device that changed, at a position of the stream `device_lists`; it cites the user's change before it. A device that is no
-- more was deleted; cross-signing keys stand here by their public keys. Shrinks: each user's latest hundred are kept. Who comes from further
-- back finds that the first row cites a change that was not seen, and has to ask for the whole list.
CREATE TABLE device_list_changes (
  position BIGINT PRIMARY KEY,
  user_num BIGINT NOT NULL,
  device_id TEXT NOT NULL,
  previous_position BIGINT NOT NULL -- 0 for a user's first
);
CREATE INDEX device_list_changes_by_user ON device_list_changes (user_num, position);

-- Whose keys a user has signed, which nobody else is told: the last time for each, at a position of the same stream.
-- Shrinks: it does not grow but by pairs of users.
CREATE TABLE signed_users (
  signer_num BIGINT NOT NULL,
  target_num BIGINT NOT NULL,
  position BIGINT NOT NULL,
  PRIMARY KEY (signer_num, target_num)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX signed_users_by_position ON signed_users (position);
