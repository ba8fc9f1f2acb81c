import type { IncomingMessage, ServerResponse } from 'node:http';
import { newUsage } from '#src/platform/logging/index.ts';
import type { LogContext, Usage } from '#src/platform/logging/index.ts';
import { readBody } from './body.ts';
import { redactUrl } from './access-token.ts';
import type { IncomingRequest, Method } from './route.ts';

/** How requests on a listener are read and called in the log. */
export interface Site {
  /** In the access log and its logger's name; by default the port. */
  readonly tag: string;
  readonly tls: boolean;
  /** The listener stands behind a proxy whose `X-Forwarded-For` is believed. */
  readonly xForwarded: boolean;
  readonly requestIdHeader: string | undefined;
}

const MAX_ADDRESS = 64;

const addressOf = (raw: IncomingMessage, site: Site): string => {
  const forwarded = site.xForwarded ? raw.headers['x-forwarded-for'] : undefined;
  if (typeof forwarded === 'string') {
    const end = forwarded.indexOf(',');
    const first = (end === -1 ? forwarded : forwarded.slice(0, end)).trim();
    if (first !== '') return first.slice(0, MAX_ADDRESS);
  }
  const address = raw.socket.remoteAddress ?? 'unix';
  // An IPv4 client on a socket that takes both.
  return address.startsWith('::ffff:') ? address.slice(7) : address;
};

/** Of several Authorization headers Node keeps the first and forgets that there were more; here they stay visible. */
const keepAllAuthorization = (raw: IncomingMessage): IncomingRequest['headers'] => {
  const { rawHeaders, headers } = raw;
  let seen = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name?.length === 13 && name.toLowerCase() === 'authorization') seen += 1;
  }
  return seen < 2 ? headers : { ...headers, authorization: raw.headersDistinct['authorization'] };
};

const MAX_HEADER_ID = 100;

/** `GET-123`, or with the id that the proxy gave in the listener's `request_id_header`. */
export const requestId = (raw: IncomingMessage, site: Site, number: number): string => {
  const given = site.requestIdHeader === undefined ? undefined : raw.headers[site.requestIdHeader];
  return `${raw.method ?? ''}-${typeof given === 'string' && given !== '' ? given.slice(0, MAX_HEADER_ID) : number}`;
};

/** One request, from its arrival until the last byte of its answer; also what its log lines belong to. */
export class HttpRequest implements IncomingRequest, LogContext {
  readonly method: Method;
  readonly url: string;
  readonly headers: IncomingRequest['headers'];
  readonly query: IncomingRequest['query'];
  readonly ip: string;
  readonly id: string;
  readonly usage: Usage = newUsage();
  readonly startedMs: number;
  requester: string | undefined;
  /** Body bytes of the answer, as far as they are known before it is sent. */
  answeredBytes = 0;
  handledMs: number | undefined;
  /** What its route's answers carry. */
  answerHeaders: Readonly<Record<string, string>> | undefined;
  readonly #raw: IncomingMessage;
  readonly #site: Site;
  #bytes: Promise<Buffer> | undefined;
  #abort: AbortController | undefined;
  #stopped: Error | undefined;

  constructor(raw: IncomingMessage, site: Site, id: string, query: IncomingRequest['query'], startedMs: number) {
    this.method = (raw.method === 'HEAD' ? 'GET' : raw.method) as Method;
    this.url = raw.url ?? '';
    this.headers = keepAllAuthorization(raw);
    this.query = query;
    this.ip = addressOf(raw, site);
    this.id = id;
    this.startedMs = startedMs;
    this.#raw = raw;
    this.#site = site;
  }

  /** Made when somebody asks for it: most requests are over before anybody would listen. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#stopped !== undefined) this.#abort.abort(this.#stopped);
    return this.#abort.signal;
  }

  /** Tells whoever waits on behalf of this request to stop. */
  stop(reason: Error): void {
    this.#stopped ??= reason;
    this.#abort?.abort(this.#stopped);
  }

  get stopped(): Error | undefined {
    return this.#stopped;
  }

  bytes(maxBytes: number): Promise<Buffer> {
    this.#bytes ??= readBody(this.#raw, maxBytes);
    return this.#bytes;
  }

  get request(): string {
    return this.id;
  }

  get redactedUrl(): string {
    return redactUrl(this.url);
  }

  get protocol(): string {
    return `HTTP/${this.#raw.httpVersion}`;
  }

  get userAgent(): string {
    return this.#raw.headers['user-agent'] ?? '-';
  }

  readonly describe = (): Readonly<Record<string, unknown>> => ({
    ip_address: this.ip,
    site_tag: this.#site.tag,
    requester: this.requester,
    authenticated_entity: this.requester,
    method: this.#raw.method,
    url: this.redactedUrl,
    protocol: this.protocol,
    user_agent: this.userAgent,
  });
}

/** The path of a URL as it was sent. */
const pathOf = (url: string): string => {
  const end = url.search(/[?#]/);
  return end === -1 ? url : url.slice(0, end);
};

/**
 * Whether a path would mean something else to a program that tidies paths up: empty or dotted steps in the middle.
 * The last step may be empty (the empty state key).
 */
export const isTrickyPath = (url: string): boolean => {
  if (!url.includes('//') && !url.includes('/.')) return false;
  const path = pathOf(url);
  return path.includes('//') || /\/\.{1,2}(?:\/|$)/.test(path);
};

/** Finds out whether a path belongs to any of `templates` (`/rooms/:roomId/state`), whatever the method. */
export const pathMatcher = (templates: readonly string[]): ((url: string) => boolean) => {
  const split = [...new Set(templates)].map((template) => template.split('/'));
  return (url) => {
    const steps = pathOf(url).split('/');
    return split.some(
      (parts) => parts.length === steps.length && parts.every((part, index) => part.startsWith(':') || part === steps[index]),
    );
  };
};

/** Calls `done` once: with `true` when the request was answered, with `false` when the client left before. */
export const onEnd = (response: ServerResponse, done: (isAnswered: boolean) => void): void => {
  response.once('close', () => done(response.writableEnded));
};
