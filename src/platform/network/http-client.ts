import { Agent as PlainAgent, request as plainRequest } from 'node:http';
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage, RequestOptions } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import type { LookupOptions } from 'node:dns';
import { isIP } from 'node:net';
import type { LookupFunction } from 'node:net';
import type { Readable } from 'node:stream';
import { getCACertificates } from 'node:tls';
import type { SecureVersion } from 'node:tls';
import { callbackify } from 'node:util';
import type { Address, Dns } from '#src/platform/network/dns.ts';
import type { IpPolicy } from '#src/platform/network/ip-policy.ts';

/**
 * Why there was no answer: the name has no address (`dns`), none that this server connects to (`denied`), nobody answers there (`connect`), the
 * certificate or the encryption does not do (`tls`), it took too long (`timeout`), the answer is larger than asked for (`too-large`), or whoever asked
 * has given up (`aborted`).
 */
export type OutgoingFault = 'dns' | 'denied' | 'connect' | 'tls' | 'timeout' | 'too-large' | 'aborted';

/** A request that got no answer, or none that could be read to its end. */
export class OutgoingError extends Error {
  override readonly name = 'OutgoingError';
  readonly fault: OutgoingFault;
  constructor(fault: OutgoingFault, message: string, cause?: unknown) {
    super(message, { cause });
    this.fault = fault;
  }
}

export interface OutgoingRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** The whole URL, `http:` or `https:`. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Until the last byte of the answer, in milliseconds. */
  readonly timeoutMs: number;
  /** The largest answer, in bytes. */
  readonly maxBytes: number;
  /** Where to connect, where that is not the host of the URL, whose name the certificate must have and `Host` says. For an address that address. */
  readonly connectTo?: { readonly host: string; readonly port: number };
  /** Whether the certificate need not be checked. */
  readonly isCertificateIgnored?: boolean;
  readonly signal?: AbortSignal;
}

interface Head {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

/** An answer whose body is still to be read. */
export interface OpenAnswer extends Head {
  /** Fails with an `OutgoingError` when it ends too soon, takes too long or gets too large. */
  readonly body: AsyncIterable<Buffer>;
  /** Leaves the rest of the body unread. */
  discard(): void;
}

export interface OutgoingAnswer extends Head {
  readonly body: Buffer;
}

/** Asks other servers. Redirects are not followed: what they mean differs by protocol. */
export interface HttpClient {
  /** Resolves with the head of the answer. Throws `OutgoingError`. */
  open(request: OutgoingRequest): Promise<OpenAnswer>;
  /** Resolves with the whole answer, whatever its status. Throws `OutgoingError`. */
  request(request: OutgoingRequest): Promise<OutgoingAnswer>;
  /** Closes connections that are kept for later. */
  close(): void;
}

export interface HttpClientOptions {
  readonly dns: Dns;
  readonly policy: IpPolicy;
  readonly userAgent: string;
  /** Certificates of authorities, in PEM, instead of the system's and those that Node.js brings along. */
  readonly authorities?: readonly string[] | undefined;
  readonly minTlsVersion?: SecureVersion | undefined;
  /**
   * URLs of proxies by scheme, and who is reached without: as the environment variables of these names say it. The proxy itself may have any address, and
   * looks names up for us.
   */
  readonly proxies?: { readonly HTTP_PROXY?: string; readonly HTTPS_PROXY?: string; readonly NO_PROXY?: string };
}

const KEEP_ALIVE = { keepAlive: true, maxFreeSockets: 4, timeout: 120_000, autoSelectFamily: true };
const MAX_HEADER_BYTES = 32_768;

/** An IPv6 address without its brackets; anything else as it is. */
const bare = (host: string): string => (host.startsWith('[') ? host.slice(1, -1) : host);

const isTlsFault = (code: string): boolean =>
  /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|EPROTO$|HOSTNAME_MISMATCH)/.test(code);
const isDnsFault = (code: string): boolean => ['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA', 'ENODATA'].includes(code);

const asOutgoingError = (error: unknown, host: string): OutgoingError => {
  if (error instanceof OutgoingError) return error;
  const { code = '', message, name } = error as NodeJS.ErrnoException;
  if (name === 'TimeoutError') return new OutgoingError('timeout', `${host} took too long to answer`, error);
  if (name === 'AbortError') return new OutgoingError('aborted', `The request to ${host} was given up`, error);
  // All addresses of a host were tried: the last fault says as much as any.
  const faults = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  if (faults.length > 0) return asOutgoingError(faults.at(-1), host);
  const fault = isTlsFault(code) ? 'tls' : isDnsFault(code) ? 'dns' : 'connect';
  return new OutgoingError(fault, `${host}: ${message === '' ? code : message}`, error);
};

/**
 * Finds addresses as `dns` does, and leaves out those that the policy denies: after the look-up, so that no name can lead to them. Node asks for all
 * addresses, because it tries several.
 */
const policedLookup = ({ dns, policy }: HttpClientOptions): LookupFunction =>
  callbackify(async (host: string, _options: LookupOptions): Promise<Address[]> => {
    const found = await dns.addresses(host);
    const allowed = found.filter(({ address }) => policy.isAllowed(address));
    if (found.length === 0) throw new OutgoingError('dns', `${host} has no address`);
    if (allowed.length === 0) throw new OutgoingError('denied', `${host} has no address that this server connects to (ip_range_blacklist)`);
    return [...allowed];
  });

/** The bytes of an answer, as long as they are no more than asked for. */
const boundedBody = async function* (
  stream: Readable,
  { maxBytes, host, signal }: { maxBytes: number; host: string; signal: AbortSignal },
): AsyncGenerator<Buffer> {
  let length = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxBytes) throw new OutgoingError('too-large', `${host} answered with more than ${String(maxBytes)} bytes`);
      yield chunk;
    }
  } catch (error) {
    throw asOutgoingError(signal.aborted ? signal.reason : error, host);
  } finally {
    stream.destroy();
  }
};

/** All of a body. Throws what reading it throws. */
const collect = async (body: AsyncIterable<Buffer>): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
};

/** A client over Node's own HTTP: connections are kept, IPv4 and IPv6 are tried side by side. */
export const createHttpClient = (options: HttpClientOptions): HttpClient => {
  const { policy, userAgent, proxies = {} } = options;
  const isProxied = proxies.HTTP_PROXY !== undefined || proxies.HTTPS_PROXY !== undefined;
  const shared = { ...KEEP_ALIVE, lookup: policedLookup(options), ...(isProxied && { proxyEnv: proxies }) };
  const plain = new PlainAgent(shared);
  const tlsAgents = new Map<boolean, TlsAgent>();
  const tlsAgent = (isCertificateIgnored: boolean): TlsAgent => {
    let agent = tlsAgents.get(isCertificateIgnored);
    if (agent === undefined) {
      agent = new TlsAgent({
        ...shared,
        rejectUnauthorized: !isCertificateIgnored,
        ca: [...(options.authorities ?? new Set([...getCACertificates('default'), ...getCACertificates('system')]))],
        ...(options.minTlsVersion !== undefined && { minVersion: options.minTlsVersion }),
      });
      tlsAgents.set(isCertificateIgnored, agent);
    }
    return agent;
  };

  const begin = (request: OutgoingRequest, url: URL, signal: AbortSignal): ClientRequest => {
    const isTls = url.protocol === 'https:';
    const named = bare(url.hostname);
    const { host, port } = request.connectTo ?? { host: named, port: Number(url.port) || (isTls ? 443 : 80) };
    const wanted: RequestOptions = {
      method: request.method,
      host,
      port,
      path: url.pathname + url.search,
      signal,
      maxHeaderSize: MAX_HEADER_BYTES,
      headers: {
        host: url.host,
        'user-agent': userAgent,
        ...request.headers,
        ...(request.body !== undefined && { 'content-length': String(Buffer.byteLength(request.body)) }),
      },
    };
    if (!isTls) return plainRequest({ ...wanted, agent: plain });
    const servername = isIP(named) === 0 ? { servername: named } : {};
    return tlsRequest({ ...wanted, ...servername, agent: tlsAgent(request.isCertificateIgnored === true) });
  };

  const send = async (request: OutgoingRequest, url: URL, signal: AbortSignal): Promise<IncomingMessage> => {
    const outgoing = begin(request, url, signal);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    outgoing.once('response', resolve);
    outgoing.once('error', reject);
    outgoing.end(request.body);
    try {
      return await promise;
    } catch (error) {
      // The other side closed a kept connection just then: nothing of the request was looked at.
      if (!outgoing.reusedSocket || (error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
      return send(request, url, signal);
    }
  };

  const open: HttpClient['open'] = async (request) => {
    const url = new URL(request.url);
    const host = bare(request.connectTo?.host ?? url.hostname);
    // Addresses are not looked up, so they are judged here.
    if (isIP(host) !== 0 && !policy.isAllowed(host)) {
      throw new OutgoingError('denied', `${host} is not an address that this server connects to (ip_range_blacklist)`);
    }
    const deadline = AbortSignal.timeout(request.timeoutMs);
    const signal = request.signal === undefined ? deadline : AbortSignal.any([deadline, request.signal]);
    try {
      const message = await send(request, url, signal);
      return {
        status: message.statusCode ?? 0,
        headers: message.headers,
        body: boundedBody(message, { maxBytes: request.maxBytes, host, signal }),
        discard: () => void message.destroy(),
      };
    } catch (error) {
      throw asOutgoingError(signal.aborted ? signal.reason : error, host);
    }
  };

  return {
    open,
    request: async (request) => {
      const { status, headers, body } = await open(request);
      return { status, headers, body: await collect(body) };
    },
    close: () => {
      plain.destroy();
      for (const agent of tlsAgents.values()) agent.destroy();
    },
  };
};
