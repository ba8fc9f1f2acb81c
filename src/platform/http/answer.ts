import type { ServerResponse } from 'node:http';
import { Readable, pipeline } from 'node:stream';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { MatrixError } from '#src/protocol/errors.ts';
import { Answer, RawJson } from './route.ts';

/** Browsers may call from any page; Synapse's lists. */
export const CORS_HEADERS: Readonly<Record<string, string>> = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, HEAD, POST, PUT, DELETE, OPTIONS',
  'access-control-allow-headers': 'X-Requested-With, Content-Type, Authorization, Date',
};

type Payload = string | Buffer | Readable;

/** What goes out: a status, headers and bytes. */
export interface Outgoing {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Payload;
}

const NO_HEADERS: Readonly<Record<string, string>> = {};

const asPayload = (body: unknown): Payload | undefined => {
  if (typeof body === 'string' || Buffer.isBuffer(body) || body instanceof Readable) return body;
  if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return body instanceof ReadableStream ? Readable.fromWeb(body) : undefined;
};

/** Gives what a handler resolved to its shape on the wire. */
export const toOutgoing = (result: unknown): Outgoing => {
  if (result instanceof RawJson) return { status: 200, headers: NO_HEADERS, payload: result.text };
  if (!(result instanceof Answer)) return { status: 200, headers: NO_HEADERS, payload: JSON.stringify(result ?? {}) };
  const payload = asPayload(result.body);
  if (payload === undefined) return { status: result.status, headers: result.headers, payload: JSON.stringify(result.body ?? {}) };
  // Lower case, so that they take the place of those that every answer carries.
  const headers = Object.fromEntries(Object.entries(result.headers).map(([name, value]) => [name.toLowerCase(), value]));
  return { status: result.status, headers: { 'content-type': 'application/octet-stream', ...headers }, payload };
};

/** The answer to an expected failure. */
export const errorAnswer = (error: MatrixError): Outgoing => {
  const retryAfterMs = error.fields['retry_after_ms'];
  const headers =
    error.status === 429 && typeof retryAfterMs === 'number' ? { 'retry-after': `${Math.ceil(retryAfterMs / 1000)}` } : NO_HEADERS;
  return { status: error.status, headers, payload: JSON.stringify({ errcode: error.errcode, error: error.message, ...error.fields }) };
};

export const internalError = (): MatrixError => new MatrixError(500, 'M_UNKNOWN', 'Internal server error');

const MIN_COMPRESSED = 1024;
const compress = promisify(gzip);

/** Compresses text that is worth it, where the client and the listener's resource (`compress: true`) allow. */
export const maybeCompress = async (outgoing: Outgoing, acceptEncoding: string | string[] | undefined): Promise<Outgoing> => {
  const { payload, headers } = outgoing;
  if (payload instanceof Readable || payload.length < MIN_COMPRESSED || headers['content-encoding'] !== undefined) return outgoing;
  if (typeof acceptEncoding !== 'string' || !/\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/.test(acceptEncoding)) return outgoing;
  const packed = await compress(payload, { level: 5 });
  return { ...outgoing, headers: { ...headers, 'content-encoding': 'gzip', vary: 'Accept-Encoding' }, payload: packed };
};

const BASE_HEADERS: Readonly<Record<string, string>> = {
  ...CORS_HEADERS,
  'content-type': 'application/json',
  'cache-control': 'no-cache, no-store, must-revalidate',
};

/** Sends an answer with everything that every answer carries; answers how many body bytes that is, as far as it is known. */
export const send = (response: ServerResponse, outgoing: Outgoing, extra: Readonly<Record<string, string>>): number => {
  const { status, headers, payload } = outgoing;
  const isHead = response.req.method === 'HEAD';
  if (payload instanceof Readable) {
    response.writeHead(status, { ...BASE_HEADERS, ...extra, ...headers });
    if (isHead) {
      payload.destroy();
      response.end();
    } else {
      // A failure in the middle cuts the connection, which is all that can still be told.
      pipeline(payload, response, () => undefined);
    }
    return 0;
  }
  const bytes = typeof payload === 'string' ? Buffer.byteLength(payload) : payload.length;
  response.writeHead(status, { ...BASE_HEADERS, ...extra, ...headers, 'content-length': bytes }).end(payload);
  return isHead ? 0 : bytes;
};
