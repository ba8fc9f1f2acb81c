import { canonicalJson } from '#src/protocol/canonical-json.ts';
import { isServerName } from '#src/protocol/identifiers.ts';
import type { JsonValue } from '#src/protocol/json.ts';
import { signText, type SigningKey } from '#src/protocol/signatures.ts';

/** What one `Authorization: X-Matrix` header says (server-server API, Request Authentication). */
export interface XMatrix {
  readonly origin: string;
  /** Absent in requests of servers from before specification 1.3. */
  readonly destination: string | undefined;
  /** The id of the key, `ed25519:a_AbCd`. */
  readonly key: string;
  /** The signature in unpadded Base64. */
  readonly signature: string;
}

/** What a server signs when it asks another. */
export interface SignedRequest {
  readonly method: string;
  /** Path and query, as they are sent. */
  readonly uri: string;
  readonly origin: string;
  readonly destination: string;
  /** The body; absent where there is none. */
  readonly content?: JsonValue | undefined;
  /** The body as canonical JSON, where it is at hand in that form; takes the place of `content`. */
  readonly contentText?: string | undefined;
}

/** The text that the signature of a request covers. */
export const requestText = ({ content, contentText, ...rest }: SignedRequest): string => {
  // `content` comes first among the names.
  if (contentText !== undefined) return `{"content":${contentText},${canonicalJson({ ...rest }, 'any').slice(1)}`;
  return canonicalJson(content === undefined ? { ...rest } : { ...rest, content }, 'any');
};

const quoted = (value: string): string => `"${value.replaceAll(/["\\]/g, String.raw`\$&`)}"`;

/** The header with which a request goes out. */
export const xMatrixHeader = (request: SignedRequest, key: SigningKey): string => {
  const { origin, destination } = request;
  const parameters = { origin, destination, key: key.keyId, sig: signText(requestText(request), key) };
  return `X-Matrix ${Object.entries(parameters)
    .map(([name, value]) => `${name}=${quoted(value)}`)
    .join(',')}`;
};

const SCHEME = /^x-matrix[ \t]+/i;
/** A name, and a value that is a token or a quoted string; the space around commas is allowed. Values of old servers have colons outside of quotes. */
const PARAMETER = /[ \t]*([\w!#$%&'*+.^`|~-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))[ \t]*(?:,|$)/y;

/** Whether a header is of this kind at all. */
export const isXMatrix = (header: string): boolean => SCHEME.test(header);

/** Reads a header; `undefined` for what is none, or lacks something, or names what is no server. Names of parameters are of any case. */
export const parseXMatrix = (header: string): XMatrix | undefined => {
  const scheme = SCHEME.exec(header);
  if (scheme === null) return undefined;
  const found = new Map<string, string>();
  PARAMETER.lastIndex = scheme[0].length;
  while (PARAMETER.lastIndex < header.length) {
    const match = PARAMETER.exec(header);
    if (match === null) return undefined;
    found.set(match[1]!.toLowerCase(), match[2]?.replaceAll(/\\(.)/g, '$1') ?? match[3] ?? '');
  }
  const [origin, key, signature] = [found.get('origin'), found.get('key'), found.get('sig')];
  if (origin === undefined || key === undefined || signature === undefined || !isServerName(origin)) return undefined;
  return { origin, destination: found.get('destination'), key, signature };
};
