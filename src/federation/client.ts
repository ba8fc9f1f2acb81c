import { setTimeout } from 'node:timers/promises';
import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import { type HttpClient, type OpenAnswer, OutgoingError, type OutgoingRequest } from '#src/platform/network/index.ts';
import type { Random } from '#src/platform/random.ts';
import { canonicalJson } from '#src/protocol/canonical-json.ts';
import { isJsonObject, parseLosslessJson, type JsonObject, type JsonValue } from '#src/protocol/json.ts';
import type { SigningKey } from '#src/protocol/signatures.ts';
import { xMatrixHeader } from '#src/protocol/x-matrix.ts';
import type { BackOff } from '#src/federation/back-off.ts';
import type { Discovery, Whereabouts } from '#src/federation/discovery/resolve.ts';
import { FederationError, federationDenied } from '#src/federation/faults.ts';

/** A request to another server. */
export interface PeerRequest {
  readonly method: 'GET' | 'POST' | 'PUT';
  /** Path with its parts encoded: `/_matrix/federation/v1/event/%24id`. */
  readonly path: string;
  /** Query parameters; a list makes a parameter that stands several times. */
  readonly query?: Readonly<Record<string, string | readonly string[]>>;
  readonly content?: JsonObject;
  /** The body as canonical JSON, for one that is large and at hand in that form; in place of `content`. */
  readonly contentText?: string;
  /** Until the last byte of the answer, in milliseconds; by default `federation.client_timeout`. */
  readonly timeoutMs?: number;
  /** How often it is tried again: not at all, a few times within seconds because somebody waits, or patiently. */
  readonly retries?: 'none' | 'short' | 'long';
  /** Tries although the server could not be reached lately. */
  readonly ignoresBackOff?: boolean;
  /** Whether the answer 404 means that the server is in trouble, as for endpoints that every server has. */
  readonly failsOnNotFound?: boolean;
  /** The largest answer in bytes. */
  readonly maxBytes?: number;
  /** Requests of no server in particular carry no signature: `/_matrix/key/v2/server`. */
  readonly isUnsigned?: boolean;
  /** The first version of some endpoints answers with the status and the object in a list: the object is wanted. */
  readonly isInList?: boolean;
  readonly signal?: AbortSignal;
}

/** Asks other servers as this one (server-server API, Request Authentication). */
export interface FederationClient {
  /**
   * What the server answered with 200: an object, parsed without loss.
   * @throws FederationError; MatrixError 403 for a server that is not on `federation_domain_whitelist`
   */
  ask(destination: string, request: PeerRequest): Promise<JsonObject>;
  /** The text of what the server answered with 200, for an answer that is too large to be parsed at once. Throws the same. */
  read(destination: string, request: PeerRequest): Promise<string>;
  /** The same, with the answer's body to be read as it comes. Throws the same. */
  open(destination: string, request: PeerRequest): Promise<OpenAnswer>;
}

const MEBIBYTE = 1024 * 1024;
const MAX_ANSWER_BYTES = 100 * MEBIBYTE;
/** What servers say against a request is kept to so many characters. */
const [MAX_ERRCODE, MAX_ERROR] = [64, 500] as const;

/** Before it is tried again, in milliseconds, by the number of the try; times by which it is spread by chance. */
const pauseMs = (kind: 'short' | 'long', tried: number, config: Config['federation'], random: Random): number => {
  const spread = 0.8 + (0.6 * random.below(1000)) / 1000;
  const growing = kind === 'short' ? 500 * 2 ** tried : 1000 * 4 ** tried;
  return Math.min(growing, kind === 'short' ? config.max_short_retry_delay : config.max_long_retry_delay) * spread;
};

const queryText = (query: PeerRequest['query'] = {}): string => {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) for (const each of [value].flat()) parameters.append(name, each);
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
};

const readAll = async ({ body }: OpenAnswer): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
};

const readRefusal = async (answer: OpenAnswer): Promise<{ errcode: string; error: string }> => {
  const plain = { errcode: 'M_UNKNOWN', error: `HTTP ${String(answer.status)}` };
  try {
    const value: unknown = JSON.parse(await readAll(answer));
    if (typeof value !== 'object' || value === null) return plain;
    const { errcode, error } = value as Record<string, unknown>;
    return {
      errcode: typeof errcode === 'string' ? errcode.slice(0, MAX_ERRCODE) : plain.errcode,
      error: typeof error === 'string' ? error.slice(0, MAX_ERROR) : plain.error,
    };
  } catch {
    return plain;
  }
};

/** By these answers a server says that it is in trouble, not that the request was wrong. */
const isTrouble = (status: number, { failsOnNotFound = false }: PeerRequest): boolean =>
  status >= 500 || status === 401 || status === 429 || (status === 404 && failsOnNotFound);

interface Dependencies {
  readonly serverName: string;
  readonly signingKey: SigningKey;
  readonly http: HttpClient;
  readonly discovery: Discovery;
  readonly backOff: BackOff;
  readonly clock: Clock;
  readonly random: Random;
  readonly config: Config['federation'];
  /** Whether a server may be talked with. */
  readonly isAllowed: (serverName: string) => boolean;
  /** Whether its certificate is checked. */
  readonly checksCertificateOf: (serverName: string) => boolean;
}

export const createFederationClient = ({
  serverName,
  signingKey,
  http,
  discovery,
  backOff,
  clock,
  random,
  config,
  isAllowed,
  checksCertificateOf,
}: Dependencies): FederationClient => {
  const outgoing = (destination: string, { authority }: Whereabouts, request: PeerRequest): OutgoingRequest => {
    const { method, content, isUnsigned = false } = request;
    const uri = request.path + queryText(request.query);
    const contentText = request.contentText ?? (content === undefined ? undefined : canonicalJson(content, 'any'));
    const signed = { method, uri, origin: serverName, destination, contentText };
    return {
      method,
      url: `https://${authority}${uri}`,
      headers: {
        ...(!isUnsigned && { authorization: xMatrixHeader(signed, signingKey) }),
        ...(contentText !== undefined && { 'content-type': 'application/json' }),
      },
      ...(contentText !== undefined && { body: contentText }),
      timeoutMs: request.timeoutMs ?? config.client_timeout,
      maxBytes: request.maxBytes ?? MAX_ANSWER_BYTES,
      isCertificateIgnored: !checksCertificateOf(destination),
      ...(request.signal !== undefined && { signal: request.signal }),
    };
  };

  /** One try: each place where the server may be, until one answers. */
  const tryOnce = async (destination: string, request: PeerRequest): Promise<OpenAnswer> => {
    const whereabouts = await discovery.resolve(destination);
    const prepared = outgoing(destination, whereabouts, request);
    let fault: unknown;
    for (const connectTo of whereabouts.targets) {
      try {
        return await http.open({ ...prepared, connectTo });
      } catch (error) {
        fault = error;
        if (!(error instanceof OutgoingError) || error.fault === 'aborted' || error.fault === 'timeout') break;
      }
    }
    throw fault;
  };

  const refusal = async (destination: string, answer: OpenAnswer): Promise<FederationError> => {
    const told = await readRefusal(answer);
    return new FederationError('refused', destination, `${destination}: ${String(answer.status)} ${told.errcode} ${told.error}`, {
      refusal: { status: answer.status, ...told },
    });
  };

  const attempt = async (destination: string, request: PeerRequest): Promise<OpenAnswer> => {
    let answer: OpenAnswer;
    try {
      answer = await tryOnce(destination, request);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new FederationError('unreachable', destination, `${destination} could not be reached: ${message}`, { cause: error });
    }
    if (answer.status >= 200 && answer.status < 300) {
      backOff.succeeded(destination);
      return answer;
    }
    if (!isTrouble(answer.status, request)) backOff.succeeded(destination);
    throw await refusal(destination, answer);
  };

  /** Whether the server is to blame, and is to be left alone for a while once nobody tries again. */
  const isServersFault = ({ refusal, cause }: FederationError, request: PeerRequest): boolean =>
    refusal === undefined ? cause instanceof OutgoingError && cause.fault !== 'aborted' : isTrouble(refusal.status, request);

  const isWorthRetrying = ({ fault, refusal, cause }: FederationError): boolean => {
    if (refusal !== undefined) return refusal.status === 429 || refusal.status >= 500;
    return fault === 'unreachable' && !(cause instanceof OutgoingError && ['denied', 'aborted', 'too-large'].includes(cause.fault));
  };

  const open: FederationClient['open'] = async (destination, request) => {
    if (!isAllowed(destination)) throw federationDenied(destination);
    const trouble = backOff.trouble(destination);
    if (request.ignoresBackOff !== true && trouble !== undefined && trouble.retryAtTs > clock.now()) {
      throw new FederationError('backing-off', destination, `${destination} could not be reached lately, and is left alone for now`);
    }
    const { retries = 'none', signal } = request;
    const most = { none: 0, short: config.max_short_retries, long: config.max_long_retries }[retries];
    for (let tried = 0; ; tried += 1) {
      try {
        return await attempt(destination, request);
      } catch (error) {
        if (!(error instanceof FederationError)) throw error;
        if (retries === 'none' || tried >= most || !isWorthRetrying(error)) {
          if (isServersFault(error, request)) backOff.failed(destination);
          throw error;
        }
        await setTimeout(pauseMs(retries, tried, config, random), undefined, { ref: false, ...(signal !== undefined && { signal }) });
      }
    }
  };

  const read: FederationClient['read'] = async (destination, request) => {
    const answer = await open(destination, request);
    try {
      return await readAll(answer);
    } catch (error) {
      backOff.failed(destination);
      throw new FederationError('unreachable', destination, `${destination} did not answer to the end: ${(error as Error).message}`, {
        cause: error,
      });
    }
  };

  return {
    open,
    read,
    ask: async (destination, request) => {
      const text = await read(destination, request);
      try {
        const parsed = parseLosslessJson(text);
        const value = request.isInList === true && Array.isArray(parsed) ? (parsed as readonly JsonValue[])[1] : parsed;
        if (isJsonObject(value)) return value;
      } catch {
        // Said below.
      }
      throw new FederationError('nonsense', destination, `${destination} did not answer with a JSON object`);
    },
  };
};
