-- What other servers have been told of the devices of this one's users. Shrinks: a row goes when the user's list changes and the server shares no room with the user any more.
CREATE TABLE told_device_lists (
  destination TEXT NOT NULL,
  user_num BIGINT NOT NULL,
  -- up to where in the user's list it has been told
  told_position BIGINT NOT NULL,
  -- the last change that it was told as one of a device: the next one names it as the one before; 0 for none
  last_id BIGINT NOT NULL,
  -- 1 while there is something that it has not been told
  is_waiting BIGINT NOT NULL,
  PRIMARY KEY (destination, user_num)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX told_device_lists_by_user ON told_device_lists (user_num);
