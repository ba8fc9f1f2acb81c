import { createHmac } from 'node:crypto';
import { ok, personOf, type Person, type Session } from './client.ts';
import type { Server } from './server.ts';

/** How an administrator logs in on the command line. */
export const AS_ROOT = ['--admin-user', 'root', '--admin-password', 'secret'] as const;

/** A new account `root` that may administer, made by who knows the shared secret (Synapse's admin API, Shared-secret registration). */
export const registerAdministrator = async (server: Server): Promise<Person> => {
  const { nonce } = ok(await server.anybody.get<{ nonce: string }>('/_synapse/admin/v1/register'));
  const mac = createHmac('sha1', 'test').update(`${nonce}\0root\0secret\0admin`).digest('hex');
  const request = { nonce, username: 'root', password: 'secret', admin: true, mac };
  return personOf(server.pool, ok(await server.anybody.post<Session>('/_synapse/admin/v1/register', request)));
};
