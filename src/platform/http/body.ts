import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { badJson, notJson, tooLarge } from '#src/protocol/errors.ts';

/** The client went away in the middle; nobody is left to answer. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';
}

/** Synapse's: 200 events of the largest size. */
export const DEFAULT_BODY_LIMIT = 200 * 65_536;

/** Deeper JSON is refused, so that whoever walks a body may do so recursively. */
export const MAX_JSON_DEPTH = 500;

const EMPTY = Buffer.alloc(0);

/**
 * All of a request's body.
 * @throws MatrixError M_TOO_LARGE beyond `maxBytes`, before more than that is held; ClientGoneError
 */
export const readBody = (raw: IncomingMessage, maxBytes: number): Promise<Buffer> => {
  const announced = Number(raw.headers['content-length'] ?? Number.NaN);
  if (announced === 0) return Promise.resolve(EMPTY);
  if (announced > maxBytes) return Promise.reject(tooLarge(`Request body is larger than ${maxBytes} bytes`));
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const stop = (): void => {
      raw.off('data', onData);
      raw.off('end', onEnd);
      raw.off('error', onGone);
      raw.off('close', onGone);
    };
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      if (length <= maxBytes) {
        chunks.push(chunk);
        return;
      }
      stop();
      reject(tooLarge(`Request body is larger than ${maxBytes} bytes`));
    };
    const onEnd = (): void => {
      stop();
      resolve(chunks.length === 1 ? (chunks[0] ?? EMPTY) : Buffer.concat(chunks, length));
    };
    const onGone = (): void => {
      stop();
      reject(new ClientGoneError('The client closed the connection before its request was complete'));
    };
    if (raw.destroyed && !raw.readableEnded) {
      onGone();
      return;
    }
    raw.on('data', onData);
    raw.on('end', onEnd);
    raw.on('error', onGone);
    raw.on('close', onGone);
  });
};

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const OPEN_OBJECT = 0x7b;
const CLOSE_ARRAY = 0x5d;
const CLOSE_OBJECT = 0x7d;

/** Whether brackets are nested deeper than `limit`; those inside strings do not count. Whether it is JSON at all is not looked at. */
const isDeeperThan = (bytes: Buffer, limit: number): boolean => {
  if (bytes.length <= limit) return false;
  let depth = 0;
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index];
    if (byte === QUOTE) {
      index += 1;
      while (index < bytes.length && bytes[index] !== QUOTE) index += bytes[index] === BACKSLASH ? 2 : 1;
    } else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      depth += 1;
      if (depth > limit) return true;
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) {
      depth -= 1;
    }
  }
  return false;
};

/**
 * Parses JSON that came from outside. Keys such as `__proto__` become plain own properties.
 * @throws MatrixError M_NOT_JSON when it is not JSON in UTF-8, M_BAD_JSON when it is nested too deeply
 */
export const parseJson = (bytes: Buffer): unknown => {
  if (!isUtf8(bytes)) throw notJson('Content not JSON: it is not UTF-8.');
  if (isDeeperThan(bytes, MAX_JSON_DEPTH)) throw badJson(`Content is nested more than ${MAX_JSON_DEPTH} levels deep.`);
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw notJson('Content not JSON.');
  }
};
