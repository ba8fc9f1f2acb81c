-- Current states that changed without an event in the timeline are looked for by position, across rooms.
CREATE INDEX room_state_history_position ON room_state_history (stream_position);
