import { closeSync, write as fsWrite, writeSync } from 'node:fs';
import { promisify } from 'node:util';

/** Writes text to a descriptor in the background. */
export interface Writer {
  /** Never blocks and never throws; what cannot be kept up with is dropped, and said. */
  write(text: string): void;
  /** Gives what waits to the operating system at once; for the last words of a process. */
  flush(): void;
  /** Writes what waits; resolves when nothing is under way any more. */
  close(): Promise<void>;
}

const MAX_WAITING = 16 * 1024 * 1024;
/** A pipe whose reader is slow is tried again after this. */
const RETRY_MS = 50;
const MAX_FLUSH_TRIES = 1_000;

const writeBytes = promisify(fsWrite);

const isBusy = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'EAGAIN';

const writeAllNow = (fd: number, bytes: Buffer): void => {
  let offset = 0;
  for (let tries = 0; offset < bytes.length && tries < MAX_FLUSH_TRIES; tries += 1) {
    try {
      offset += writeSync(fd, bytes, offset);
    } catch (error) {
      if (!isBusy(error)) return;
    }
  }
};

const writeAll = async (fd: number, bytes: Buffer): Promise<void> => {
  let offset = 0;
  while (offset < bytes.length) {
    try {
      offset += (await writeBytes(fd, bytes, offset)).bytesWritten;
    } catch (error) {
      // A full disk or a reader that is gone must not end the server: this text is lost, the next may not be.
      if (!isBusy(error)) return;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
    }
  }
};

/** While one write is under way, the next lines gather; so a slow disk makes for bigger writes, not for a queue of them. */
export const createWriter = (fd: number, { ownsFd }: { ownsFd: boolean }): Writer => {
  let waiting: string[] = [];
  let size = 0;
  let dropped = 0;
  let pumping: Promise<void> | undefined;
  let isClosed = false;

  const take = (): Buffer => {
    if (dropped > 0) waiting.push(`${dropped} log lines were dropped here: they came faster than they could be written\n`);
    const bytes = Buffer.from(waiting.join(''));
    waiting = [];
    size = 0;
    dropped = 0;
    return bytes;
  };
  const pump = async (): Promise<void> => {
    // The rest of this turn's lines come along.
    await new Promise(setImmediate);
    while (waiting.length > 0) await writeAll(fd, take());
    pumping = undefined;
  };
  const flush = (): void => {
    if (waiting.length > 0) writeAllNow(fd, take());
  };

  return {
    write: (text) => {
      // The descriptor's number may be somebody else's by now.
      if (isClosed) return;
      if (size > MAX_WAITING) {
        dropped += 1;
        return;
      }
      waiting.push(text);
      size += text.length;
      pumping ??= pump();
    },
    flush,
    close: async () => {
      isClosed = true;
      flush();
      await pumping;
      if (ownsFd) closeSync(fd);
    },
  };
};
