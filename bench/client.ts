import { createHmac } from 'node:crypto';
import { Pool } from 'undici';

export interface User {
  readonly userId: string;
  readonly deviceId: string;
  readonly token: string;
}

export interface Client {
  /** Calls the client-server API; throws on anything but a 200. */
  call<Body = unknown>(method: 'GET' | 'PUT' | 'POST', path: string, user?: User, body?: unknown): Promise<Body>;
  /** Registers by the shared secret, which asks for no interactive authentication. */
  register(name: string): Promise<User>;
  close(): Promise<void>;
}

const SHARED_SECRET = 'bench';

/** A client with as many connections as there are calls under way, as many people would have. */
export const createClient = (origin: string): Client => {
  const pool = new Pool(origin, { connections: null, pipelining: 1, headersTimeout: 120_000, bodyTimeout: 120_000 });

  const request = async <Body>(method: 'GET' | 'PUT' | 'POST', path: string, user?: User, body?: unknown): Promise<Body> => {
    const response = await pool.request({
      method,
      path,
      headers: {
        ...(user && { authorization: `Bearer ${user.token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.body.text();
    if (response.statusCode !== 200) throw new Error(`${method} ${path}: ${String(response.statusCode)} ${text.slice(0, 200)}`);
    return JSON.parse(text) as Body;
  };

  return {
    call: (method, path, user, body) => request(method, `/_matrix/client/v3${path}`, user, body),
    register: async (username) => {
      const path = '/_synapse/admin/v1/register';
      const password = 'bench-password';
      const { nonce } = await request<{ nonce: string }>('GET', path);
      const mac = createHmac('sha1', SHARED_SECRET).update([nonce, username, password, 'notadmin'].join('\0')).digest('hex');
      const made = await request<{ user_id: string; device_id: string; access_token: string }>('POST', path, undefined, {
        nonce,
        username,
        password,
        mac,
        admin: false,
      });
      return { userId: made.user_id, deviceId: made.device_id, token: made.access_token };
    },
    close: () => pool.destroy(),
  };
};
