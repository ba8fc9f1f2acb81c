import { DatabaseError } from '#src/platform/database/errors.ts';
import type { Outcome } from '#src/platform/database/group-commit.ts';
import { sql } from '#src/platform/database/sql.ts';
import { COMMIT_MARKER } from '#src/platform/database/tables.ts';
import type { StreamPosition, StreamPositions } from '#src/platform/database/types.ts';
import type { Logger } from '#src/platform/logging/index.ts';

/** A row of `stream_positions`. */
export interface PositionRow {
  readonly stream: string;
  readonly writer: string;
  readonly position: number;
}

export const positionRows = sql`SELECT stream, writer, position FROM stream_positions WHERE stream <> ${COMMIT_MARKER}`;

/** The positions with what only the database itself may do. */
export interface Positions extends StreamPositions {
  /** Which writers share the stream; their numbers then come from `stream_sequences`. */
  writersOf(stream: string): readonly string[];
  /** Takes in what the database holds, at start and after a lost connection. */
  load(rows: readonly PositionRow[]): void;
  /** Throws unless this process writes the stream. From then until `publish` or `giveUp` its position stands still. */
  begin(stream: string): void;
  /** Takes the next numbers from memory, for a stream with one writer. */
  allocate(stream: string, count: number): number;
  /** The rows that the group's transaction must write. */
  toStore(outcomes: readonly Outcome[]): PositionRow[];
  stored(rows: readonly PositionRow[]): void;
  publish(outcomes: readonly Outcome[]): void;
  /** The group failed as a whole: its numbers will never be used. */
  giveUp(): void;
}

interface Stream {
  readonly name: string;
  readonly writers: Map<string, number>;
  /** The largest number ever taken or seen. */
  allocated: number;
  /** The own position as it stands in the table. */
  stored: number;
  current: StreamPosition;
}

interface Options {
  readonly writer: string;
  /** Per stream, who writes it. Without it this process writes all. A stream that is not named belongs to `master`. */
  readonly writers?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly logger: Logger;
  /** The own position followed another writer's and should be stored some time soon. */
  readonly onRaise: () => void;
}

const vector = (writers: ReadonlyMap<string, number>): StreamPosition => {
  const min = Math.min(...writers.values());
  return { min, ahead: new Map([...writers].filter(([, position]) => position > min)) };
};

const lastOf = (outcomes: readonly Outcome[]): Map<string, number> => {
  const last = new Map<string, number>();
  for (const outcome of outcomes) {
    if ('error' in outcome) continue;
    for (const [stream, position] of outcome.ran.positions) last.set(stream, Math.max(position, last.get(stream) ?? 0));
  }
  return last;
};

const NOTHING: StreamPosition = { min: 0, ahead: new Map() };

/**
 * Where the streams stand. The promise behind a published position n of a writer: each of its rows up to n is either
 * visible or will never exist. A stream's numbers only grow across all its writers, so a writer with nothing under way may
 * follow the largest number that it sees; otherwise an idle writer would hold `min` back for ever.
 */
export const createPositions = ({ writer, writers, logger, onRaise }: Options): Positions => {
  const streams = new Map<string, Stream>();
  const underWay = new Set<string>();
  const listeners = new Set<(streams: ReadonlySet<string>) => void>();

  const writersOf = (stream: string): readonly string[] => (writers === undefined ? [writer] : (writers[stream] ?? ['master']));

  const streamOf = (name: string): Stream => {
    const known = streams.get(name);
    if (known !== undefined) return known;
    const made: Stream = { name, writers: new Map(writersOf(name).map((w) => [w, 0])), allocated: 0, stored: 0, current: NOTHING };
    streams.set(name, made);
    return made;
  };

  const move = (stream: Stream, who: string, position: number): boolean => {
    const before = stream.writers.get(who);
    if (before === undefined || position <= before) return false;
    stream.writers.set(who, position);
    stream.current = vector(stream.writers);
    return true;
  };

  /** Lets the own position follow the largest one, when none of the own numbers is under way. */
  const follow = (stream: Stream): boolean =>
    stream.writers.size > 1 && !underWay.has(stream.name) && move(stream, writer, Math.max(...stream.writers.values()));

  const tell = (moved: ReadonlySet<string>): void => {
    if (moved.size === 0) return;
    for (const listener of listeners) {
      try {
        listener(moved);
      } catch (error) {
        logger.error({ err: error }, 'A listener of stream positions failed');
      }
    }
  };

  const settle = (moved: Set<string>): void => {
    const touched = [...underWay];
    underWay.clear();
    let raised = false;
    for (const name of touched) {
      if (!follow(streamOf(name))) continue;
      moved.add(name);
      raised = true;
    }
    if (raised) onRaise();
    tell(moved);
  };

  const observe = (name: string, who: string, position: number): void => {
    if (who === writer) return;
    const stream = streamOf(name);
    stream.allocated = Math.max(stream.allocated, position);
    if (!move(stream, who, position)) return;
    if (follow(stream)) onRaise();
    tell(new Set([name]));
  };

  const load = (rows: readonly PositionRow[]): void => {
    const moved = new Set<string>();
    for (const row of rows) {
      const stream = streamOf(row.stream);
      stream.allocated = Math.max(stream.allocated, row.position);
      if (row.writer === writer) stream.stored = Math.max(stream.stored, row.position);
      // A stream with one writer goes on where whoever wrote it before has ended.
      const only = stream.writers.size === 1 ? [...stream.writers.keys()][0] : undefined;
      if (move(stream, only ?? row.writer, row.position)) moved.add(row.stream);
    }
    const raised = [...streams.values()].filter((stream) => follow(stream));
    for (const { name } of raised) moved.add(name);
    if (raised.length > 0) onRaise();
    tell(moved);
  };

  return {
    writersOf,
    load,
    observe,
    streams: () => [...streams.keys()],
    current: (name) => streams.get(name)?.current ?? NOTHING,
    own: (name) => streams.get(name)?.writers.get(writer) ?? 0,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    begin: (name) => {
      const { writers: all } = streamOf(name);
      if (!all.has(writer)) {
        throw new DatabaseError(`"${writer}" is no writer of the stream "${name}": ${[...all.keys()].join(', ')} is.`);
      }
      underWay.add(name);
    },
    allocate: (name, count) => {
      const stream = streamOf(name);
      const first = stream.allocated + 1;
      stream.allocated += count;
      return first;
    },
    toStore: (outcomes) => {
      const last = lastOf(outcomes);
      return [...streams.values()].flatMap((stream) => {
        const position = Math.max(last.get(stream.name) ?? 0, stream.writers.get(writer) ?? 0);
        return position > stream.stored ? [{ stream: stream.name, writer, position }] : [];
      });
    },
    stored: (rows) => {
      for (const row of rows) streamOf(row.stream).stored = row.position;
    },
    publish: (outcomes) => {
      const moved = new Set<string>();
      for (const [name, position] of lastOf(outcomes)) if (move(streamOf(name), writer, position)) moved.add(name);
      settle(moved);
    },
    giveUp: () => settle(new Set()),
  };
};
