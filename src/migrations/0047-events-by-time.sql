-- Events are looked for by the time that they claim, in one room. Shrinks with events.
CREATE INDEX events_room_time ON events (room_num, origin_server_ts, depth, stream_position) WHERE stream_position IS NOT NULL;
