import { mkdirSync, openSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Clock } from '#src/platform/clock.ts';
import { createWriter } from './writer.ts';
import type { Writer } from './writer.ts';

/** Where finished lines go. Writing never blocks and never throws: what cannot be kept up with is dropped. */
export interface Sink {
  write(line: string): void;
  /** Gives everything to the operating system, at once. */
  flush(): void;
  close(): Promise<void> | void;
}

/** Standard output or error. */
export const consoleSink = (stream: 'stdout' | 'stderr'): Sink => {
  const writer = createWriter(stream === 'stdout' ? 1 : 2, { ownsFd: false });
  return { ...writer, write: (line) => writer.write(`${line}\n`) };
};

/** When a file is put aside: by its size, or at each turn of a span of time. */
export type Rotation =
  | { readonly by: 'size'; readonly maxBytes: number; readonly keep: number }
  | { readonly by: 'time'; readonly nextMs: (nowMs: number) => number; readonly keep: number };

/** Local midnight after `nowMs`. */
export const nextMidnight = (nowMs: number): number => new Date(nowMs).setHours(24, 0, 0, 0);

const shift = (path: string, keep: number): void => {
  const move = (from: string, to: string): void => {
    try {
      renameSync(from, to);
    } catch {
      // A gap in the row of old files.
    }
  };
  if (keep < 1) {
    try {
      unlinkSync(path);
    } catch {
      // It was never written.
    }
    return;
  }
  for (let number = keep - 1; number >= 1; number -= 1) move(`${path}.${number}`, `${path}.${number + 1}`);
  move(path, `${path}.1`);
};

const sizeOf = (path: string): { bytes: number; changedMs: number } | undefined => {
  try {
    const stats = statSync(path);
    return { bytes: stats.size, changedMs: stats.mtimeMs };
  } catch {
    return undefined;
  }
};

const openWriter = (path: string): Writer => {
  mkdirSync(dirname(path), { recursive: true });
  return createWriter(openSync(path, 'a'), { ownsFd: true });
};

/**
 * A file that is appended to; put aside as `file.1`, `file.2`, … when its rotation says so.
 * @throws Error when it cannot be opened
 */
export const fileSink = (path: string, clock: Clock, rotation?: Rotation): Sink => {
  const before = sizeOf(path);
  let bytes = before?.bytes ?? 0;
  let turnMs = rotation?.by === 'time' ? rotation.nextMs(before?.changedMs ?? clock.now()) : Number.POSITIVE_INFINITY;
  let writer = openWriter(path);
  const isDue = (length: number): boolean => {
    if (rotation === undefined) return false;
    return rotation.by === 'size' ? rotation.maxBytes > 0 && bytes > 0 && bytes + length > rotation.maxBytes : clock.now() >= turnMs;
  };
  const rotate = (): void => {
    if (rotation?.by === 'time') turnMs = rotation.nextMs(clock.now());
    bytes = 0;
    // Its last lines find the old file by its descriptor, whatever it is called by then.
    const old = writer;
    shift(path, rotation?.keep ?? 0);
    try {
      writer = openWriter(path);
    } catch {
      // The folder may have become unwritable; the old file still takes lines.
      return;
    }
    void old.close();
  };
  return {
    write: (line) => {
      const length = Buffer.byteLength(line) + 1;
      if (isDue(length)) rotate();
      bytes += length;
      writer.write(`${line}\n`);
    },
    flush: () => writer.flush(),
    close: () => writer.close(),
  };
};

const MAX_REMOTE_LINES = 10_000;
const RECONNECT_MS = 5_000;

/** Lines over TCP to a collector, as Synapse's `RemoteHandler`; while it is away, the newest lines are kept. */
export const remoteSink = (host: string, port: number, maxLines: number = MAX_REMOTE_LINES): Sink => {
  let waiting: string[] = [];
  let socket: Socket | undefined;
  let isUp = false;
  let isClosed = false;
  let retry: NodeJS.Timeout | undefined;

  const drain = (): void => {
    if (socket === undefined || !isUp || waiting.length === 0 || socket.writableNeedDrain) return;
    socket.write(waiting.join(''));
    waiting = [];
  };
  const open = (): void => {
    socket = connect({ host, port });
    socket.unref();
    socket.on('connect', () => {
      isUp = true;
      drain();
    });
    socket.on('drain', drain);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      isUp = false;
      if (isClosed) return;
      retry = setTimeout(open, RECONNECT_MS);
      retry.unref();
    });
  };
  open();
  return {
    write: (line) => {
      waiting.push(`${line}\n`);
      if (waiting.length > maxLines) waiting = waiting.slice(-Math.ceil(maxLines / 2));
      drain();
    },
    flush: drain,
    close: () => {
      isClosed = true;
      clearTimeout(retry);
      drain();
      socket?.end();
      return Promise.resolve();
    },
  };
};
