-- Push rules, and counts of what users have not read.

-- How a user's push rules differ from the predefined ones. A row only for those who have ever changed any; shrinks with the user.
CREATE TABLE push_rules (
  user_num BIGINT PRIMARY KEY,
  -- of the last change, in the stream push_rules
  position BIGINT NOT NULL,
  -- JSON: the user's own rules by kind in order of priority, and what was changed of the predefined ones
  rules TEXT NOT NULL
);
CREATE INDEX push_rules_by_position ON push_rules (position);

-- Classes of users: those for whom the same push rules hold in a room, but for rules that look for something of the user's own (names, keywords).
-- Numbers them, for all rooms. Shrinks: a janitor deletes those to which nobody belongs.
CREATE TABLE push_classes (
  class_num BIGINT PRIMARY KEY,
  digest TEXT NOT NULL UNIQUE -- SHA-256 of the rules
);

-- This server's users in a room, with the class that each belongs to. Shrinks when they leave.
CREATE TABLE push_members (
  room_num BIGINT NOT NULL,
  user_num BIGINT NOT NULL,
  -- the position of the join since which the user has been in the room without a break
  joined BIGINT NOT NULL,
  class_num BIGINT NOT NULL,
  -- the class holds for events after this position
  since BIGINT NOT NULL,
  -- the display name in the room
  name TEXT,
  PRIMARY KEY (room_num, user_num)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX push_members_by_user ON push_members (user_num, room_num);

-- Classes that a member belonged to before. Shrinks: with the membership; those that were over before what the member has read
-- go when the class changes again.
CREATE TABLE push_past_classes (
  room_num BIGINT NOT NULL,
  user_num BIGINT NOT NULL,
  since BIGINT NOT NULL,
  class_num BIGINT NOT NULL,
  PRIMARY KEY (room_num, user_num, since)
) /*sqlite:WITHOUT ROWID*/;

-- Running counts: how many events up to this one have notified, and highlighted for, each class in a thread. A row for each event that notifies any
-- class. With a sender, the events of that sender alone: kept for those whom somebody ignores. Shrinks with events.
CREATE TABLE push_counts (
  room_num BIGINT NOT NULL,
  sender_num BIGINT NOT NULL, -- 0: everybody
  thread_num BIGINT NOT NULL, -- the event number of the thread's root; 0: the main timeline
  position BIGINT NOT NULL,
  counts TEXT NOT NULL, -- class:notifications:highlights,…; classes without members are left out
  PRIMARY KEY (room_num, sender_num, thread_num, position)
) /*sqlite:WITHOUT ROWID*/;

-- The last event of each series of running counts, but for everybody's in the main timeline. Shrinks with events.
CREATE TABLE push_series (
  room_num BIGINT NOT NULL,
  sender_num BIGINT NOT NULL,
  thread_num BIGINT NOT NULL,
  position BIGINT NOT NULL,
  PRIMARY KEY (room_num, sender_num, thread_num)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX push_series_by_position ON push_series (room_num, position);

-- What running counts do not know: an event that was different for one user than for the user's class (who > 0), and one that was redacted and no
-- longer counts for a class (who = -class_num). Shrinks: with events and memberships; a redaction deletes the users' rows of its event.
CREATE TABLE push_corrections (
  room_num BIGINT NOT NULL,
  who BIGINT NOT NULL,
  position BIGINT NOT NULL,
  thread_num BIGINT NOT NULL,
  sender_num BIGINT NOT NULL,
  notifications BIGINT NOT NULL,
  highlights BIGINT NOT NULL,
  PRIMARY KEY (room_num, who, position)
) /*sqlite:WITHOUT ROWID*/;
CREATE INDEX push_corrections_by_position ON push_corrections (position);

-- Up to where users have read by sending something themselves. One row per room, user and thread; shrinks when the user leaves.
CREATE TABLE push_sent (
  room_num BIGINT NOT NULL,
  user_num BIGINT NOT NULL,
  thread_num BIGINT NOT NULL,
  position BIGINT NOT NULL,
  PRIMARY KEY (room_num, user_num, thread_num)
) /*sqlite:WITHOUT ROWID*/;

-- Whom users ignore or have ignored: events of the sender with positions in (since, until] do not count. Shrinks with the user.
CREATE TABLE push_ignored (
  user_num BIGINT NOT NULL,
  sender_num BIGINT NOT NULL,
  since BIGINT NOT NULL,
  until BIGINT, -- NULL: still ignored
  PRIMARY KEY (user_num, sender_num, since)
) /*sqlite:WITHOUT ROWID*/;
