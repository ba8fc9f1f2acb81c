-- Since when a message waits for its device, for administrators; 0 for those that are there already. Shrinks with its table.
ALTER TABLE to_device_inbox ADD COLUMN created_ts BIGINT NOT NULL DEFAULT 0;
