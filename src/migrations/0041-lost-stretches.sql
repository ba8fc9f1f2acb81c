-- Positions that were given out after the copy of the database was made that was put back later: what stood there is lost. Who comes back from there knows
-- things that never were. Shrinks: a row for each time that a copy is put back.
CREATE TABLE lost_stretches (
  stream TEXT NOT NULL,
  after_position BIGINT NOT NULL,
  before_position BIGINT NOT NULL, -- exclusive: here it goes on
  PRIMARY KEY (stream, after_position)
) /*sqlite:WITHOUT ROWID*/;
