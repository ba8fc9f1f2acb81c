/** A row of a stream in memory. */
export interface StreamRow {
  readonly position: number;
}

/**
 * The latest rows of a stream that this process writes, so that those who follow it closely read it without the database. Rows come in
 * the order of their positions, from `onCommit`.
 */
export interface RecentRows<Row extends StreamRow> {
  note(row: Row): void;
  /** The rows with positions in (after, upTo], oldest first; undefined when memory does not reach back so far. */
  between(after: number, upTo: number): readonly Row[] | undefined;
}

const MAX_ROWS = 10_000;

/** `since` is the stream's position when nothing has been noted yet. */
export const createRecentRows = <Row extends StreamRow>(since: number, maxRows = MAX_ROWS): RecentRows<Row> => {
  let rows: Row[] = [];
  let from = since;
  return {
    note: (row) => {
      rows.push(row);
      if (rows.length < 2 * maxRows) return;
      from = rows[rows.length - maxRows - 1]?.position ?? from;
      rows = rows.slice(-maxRows);
    },
    between: (after, upTo) => {
      if (after < from) return undefined;
      const first = rows.findLastIndex((row) => row.position <= after) + 1;
      return rows.slice(first).filter((row) => row.position <= upTo);
    },
  };
};
