import { isUtf8 } from 'node:buffer';
import type { Access, IncomingRequest } from '#src/platform/http/route.ts';
import type { Clock } from '#src/platform/clock.ts';
import { MatrixError, notJson, unauthorized } from '#src/protocol/errors.ts';
import { isJsonObject, parseLosslessJson, type JsonObject } from '#src/protocol/json.ts';
import { verifyText } from '#src/protocol/signatures.ts';
import { isXMatrix, parseXMatrix, requestText, type XMatrix } from '#src/protocol/x-matrix.ts';
import type { ServerKeys } from '#src/rooms/graph/index.ts';
import { federationDenied } from '#src/federation/faults.ts';

/** The server that asks. */
export interface Peer {
  readonly origin: string;
  /** The body, parsed without loss; absent where there is none. */
  readonly content: JsonObject | undefined;
}

/** The largest body: 200 events of the largest size, as Synapse takes. */
const MAX_BODY_BYTES = 200 * 65_536;

const malformed = (message: string): MatrixError => new MatrixError(400, 'M_UNAUTHORIZED', message);

const headersOf = ({ headers }: IncomingRequest): readonly XMatrix[] => {
  const all = [headers['authorization'] ?? []].flat().filter((header) => isXMatrix(header));
  return all.map((header) => {
    const parsed = parseXMatrix(header);
    if (parsed === undefined) throw malformed('Malformed Authorization header');
    return parsed;
  });
};

const contentOf = async (request: IncomingRequest): Promise<JsonObject | undefined> => {
  const bytes = await request.bytes(MAX_BODY_BYTES);
  if (bytes.length === 0) return undefined;
  if (!isUtf8(bytes)) throw notJson('Content not JSON: it is not UTF-8.');
  const content = parseLosslessJson(bytes.toString('utf8'));
  if (!isJsonObject(content)) throw notJson('Content must be a JSON object.');
  return content;
};

/**
 * Servers that sign their requests (server-server API, Request Authentication). `heardFrom` is told of each that did.
 * A request is good for one destination and as it was sent; that it may be sent again changes nothing, because transactions have ids.
 */
export const createPeerAccess = ({
  serverName,
  keys,
  clock,
  isAllowed,
  heardFrom,
}: {
  serverName: string;
  keys: ServerKeys;
  clock: Clock;
  isAllowed: (serverName: string) => boolean;
  heardFrom: (origin: string) => void;
}): Access<Peer> => ({
  identify: async (request) => {
    const headers = headersOf(request);
    const [first] = headers;
    if (first === undefined) throw unauthorized('Missing Authorization headers');
    const { origin } = first;
    if (headers.some((header) => header.origin !== origin)) throw malformed('Authorization headers of several servers');
    if (headers.some(({ destination }) => destination !== undefined && destination !== serverName)) {
      throw unauthorized('Destination mismatch in auth header');
    }
    if (!isAllowed(origin)) throw federationDenied(origin);
    // A server that speaks in its own name over the network is somebody else, or is misled.
    if (origin === serverName) throw unauthorized(`${origin} is this server`);
    const content = await contentOf(request);
    const text = requestText({ method: request.method, uri: request.url, origin, destination: serverName, content });
    for (const { key: keyId, signature } of headers) {
      const key = await keys.find(origin, keyId, clock.now());
      if (key === undefined) throw unauthorized(`Failed to find the key ${keyId} of ${origin}`);
      if (!verifyText(text, signature, key)) throw unauthorized(`Invalid signature for server ${origin} with key ${keyId}`);
    }
    request.requester = origin;
    heardFrom(origin);
    return { origin, content };
  },
});
