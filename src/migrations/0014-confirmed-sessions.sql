-- When the user of a session last confirmed who it is; NULL when that was at its beginning (`created_ts`).
ALTER TABLE sessions ADD COLUMN confirmed_ts BIGINT;
