-- How far the stream of events was when a profile last changed: what a member event has said since is its user's choice for one room.
ALTER TABLE profiles ADD COLUMN events_position BIGINT NOT NULL DEFAULT 0;
