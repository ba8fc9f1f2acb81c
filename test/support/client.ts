import assert from 'node:assert/strict';
import type { Pool } from 'undici';
import { problemsWith } from './openapi.ts';

export type Json = Readonly<Record<string, unknown>>;
type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

export interface Reply<Body> {
  readonly status: number;
  readonly body: Body;
}

/** Calls to a homeserver in somebody's name. Paths without a prefix of their own are those of the client-server API, version 3. */
export interface Client {
  get<Body = Json>(path: string): Promise<Reply<Body>>;
  put<Body = Json>(path: string, body: unknown): Promise<Reply<Body>>;
  post<Body = Json>(path: string, body?: unknown): Promise<Reply<Body>>;
  delete<Body = Json>(path: string, body?: unknown): Promise<Reply<Body>>;
}

/** Somebody who has an account. */
export interface Person extends Client {
  readonly userId: string;
  readonly deviceId: string;
  readonly accessToken: string;
}

/** The body of a reply that must be a 200. */
export const ok = <Body>({ status, body }: Reply<Body>): Body => {
  assert.equal(status, 200, JSON.stringify(body));
  return body;
};

/** Checks that a reply is the Matrix error that was to be expected. */
export const assertError = ({ status, body }: Reply<unknown>, expectedStatus: number, errcode: string): void => {
  assert.deepEqual({ status, errcode: (body as Json)['errcode'] }, { status: expectedStatus, errcode }, JSON.stringify(body));
};

/** A client on connections of its own. Each reply is held against the specification, and none may be a 5xx. */
export const createClient = (pool: Pool, accessToken?: string): Client => {
  const request = async <Body>(method: Method, path: string, body?: unknown): Promise<Reply<Body>> => {
    const full = path.startsWith('/_') ? path : `/_matrix/client/v3${path}`;
    const response = await pool.request({
      method,
      path: full,
      headers: {
        ...(accessToken !== undefined && { authorization: `Bearer ${accessToken}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.body.text();
    const status = response.statusCode;
    assert.ok(status < 500, `${method} ${full}: ${String(status)} ${text}`);
    const answer: unknown = JSON.parse(text);
    const problems = problemsWith(method, full.replace(/\?.*/, ''), status, answer);
    assert.deepEqual(problems, [], `${method} ${full}: ${String(status)} ${text.slice(0, 2000)}`);
    return { status, body: answer as Body };
  };
  return {
    get: (path) => request('GET', path),
    put: (path, body) => request('PUT', path, body),
    post: (path, body = {}) => request('POST', path, body),
    delete: (path, body) => request('DELETE', path, body),
  };
};

export interface Session {
  readonly user_id: string;
  readonly device_id: string;
  readonly access_token: string;
}

export const personOf = (pool: Pool, session: Session): Person => ({
  ...createClient(pool, session.access_token),
  userId: session.user_id,
  deviceId: session.device_id,
  accessToken: session.access_token,
});
