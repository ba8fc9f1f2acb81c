import type { Schema, Static } from '#src/platform/schema.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH';

/** What a request shows to those who decide whether it may pass. */
export interface IncomingRequest {
  readonly method: Method;
  /** Path and query as they were sent. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly query: Readonly<Record<string, string | string[] | undefined>>;
  /** The client's address, after forwarded headers where the listener trusts them. */
  readonly ip: string;
  /** Aborted when the client has gone away or the server stops. */
  readonly signal: AbortSignal;
  /** The body as it was sent, read once however often it is asked for. Throws M_TOO_LARGE beyond `maxBytes`. */
  bytes(maxBytes: number): Promise<Buffer>;
  /** The request's id, as it stands in every log line of the request. */
  readonly id: string;
  /** Who asks, for the access log; `identify` sets it once it knows (`@alice:example.org`, or a server's name). */
  requester?: string | undefined;
}

/**
 * Who may call a route. `identify` answers who the caller is or throws the Matrix error that says why not;
 * slices declare these (`access.user`, `access.guest`, `access.admin`), the platform only calls them.
 */
export interface Access<Caller> {
  readonly identify: (request: IncomingRequest) => Promise<Caller>;
}

/** Anyone may call. */
export const anyone: Access<undefined> = { identify: () => Promise.resolve(undefined) };

/** A rate limit on a route's line: throws `limitExceeded` when the caller has used up its share. */
export type Limit<Caller> = (caller: Caller, request: IncomingRequest) => void;

/** `'/rooms/:roomId/send/:eventType/:txnId'` → `{ roomId: string; eventType: string; txnId: string }`. */
export type PathParams<Path extends string> = Path extends `${infer Head}/${infer Tail}`
  ? PathParams<Head> & PathParams<Tail>
  : Path extends `:${infer Name}`
    ? { readonly [K in Name]: string }
    : unknown;

/** One endpoint under all the prefixes where it answers. */
export interface PathSet<Path extends string> {
  readonly template: Path;
  readonly paths: readonly string[];
}

/** The prefixes of endpoints that are as old as the API. */
export const SINCE_V1: readonly string[] = ['v3', 'r0', 'api/v1', 'unstable'];

/** Those of endpoints that came with `r0`, and answered as unstable before. */
export const UNSTABLE_TOO: readonly string[] = ['v3', 'r0', 'unstable'];

/** A client-server endpoint under `/_matrix/client/{version}`; by default `r0` and `v3`. */
export const client = <Path extends string>(template: Path, versions: readonly string[] = ['v3', 'r0']): PathSet<Path> => ({
  template,
  paths: versions.map((version) => `/_matrix/client/${version}${template}`),
});

/** An endpoint at exactly this path. */
export const at = <Path extends string>(template: Path): PathSet<Path> => ({ template, paths: [template] });

/** An answer that is not a 200 with a JSON body. `body` is sent as it is when it is a string, a buffer or a stream; else as JSON. */
export class Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;
  constructor(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}) {
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/** JSON that was serialised already; sent as it is with `application/json`. */
export class RawJson {
  readonly text: string | Buffer;
  constructor(text: string | Buffer) {
    this.text = text;
  }
}

/** A page for people. */
export const html = (page: string, status = 200, headers: Readonly<Record<string, string>> = {}): Answer =>
  new Answer(status, page, { 'content-type': 'text/html; charset=utf-8', ...headers });

/** Sends the browser elsewhere; `location` is an absolute URL or a path, encoded already. */
export const redirect = (location: string, status = 302, headers: Readonly<Record<string, string>> = {}): Answer =>
  new Answer(status, '', { 'content-type': 'text/plain; charset=utf-8', location, ...headers });

export interface Call<Caller, Params, Query, Body> {
  readonly caller: Caller;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly request: IncomingRequest;
}

/** An endpoint, read left to right as a policy: where, who may call, how often, what it takes, what it does. */
export interface Route {
  readonly method: Method;
  readonly paths: readonly string[];
  /** What metrics and logs call it: the template, without prefix and version. */
  readonly servlet: string;
  readonly access: Access<unknown>;
  readonly limit: Limit<unknown> | undefined;
  /** Query strings arrive as strings; integers and booleans in the schema are converted before the check. Unknown parameters are ignored. */
  readonly query: Schema | undefined;
  /**
   * The JSON body's schema. Without one the body is not read. Unknown keys are allowed and kept.
   * Under `Type.Optional(…)` a request without a body counts as `{}`; else it is not JSON.
   */
  readonly body: Schema | undefined;
  /** The largest body in bytes; by default the server's general limit. */
  readonly bodyLimit: number | undefined;
  /** What every answer of the route, also to `OPTIONS`, carries in the place of the usual. */
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly handle: (call: Call<unknown, unknown, unknown, unknown>) => Promise<unknown>;
}

/**
 * Declares an endpoint. What `handle` resolves to becomes the JSON body of a 200 (`Answer` and `RawJson` say otherwise);
 * a `MatrixError` that it throws becomes the error answer.
 */
export const route = <Path extends string, Caller, Query extends Schema = Schema, Body extends Schema = Schema>(definition: {
  method: Method;
  path: PathSet<Path>;
  access: Access<Caller>;
  limit?: Limit<Caller>;
  query?: Query;
  body?: Body;
  bodyLimit?: number;
  headers?: Readonly<Record<string, string>>;
  handle: (call: Call<Caller, PathParams<Path>, Static<Query>, Static<Body>>) => Promise<unknown>;
}): Route => ({
  method: definition.method,
  paths: definition.path.paths,
  servlet: definition.path.template,
  access: definition.access,
  limit: definition.limit as Limit<unknown> | undefined,
  query: definition.query,
  body: definition.body,
  bodyLimit: definition.bodyLimit,
  headers: definition.headers,
  handle: definition.handle as Route['handle'],
});
