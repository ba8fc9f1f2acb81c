import { existsSync } from 'node:fs';
import type { Arguments } from '#src/cli/arguments.ts';
import { defaultConfigPath } from '#src/cli/generate.ts';
import { askJson, serverUrl, type JsonAnswer } from '#src/cli/http.ts';
import { CommandError, UsageError, type Io } from '#src/cli/io.ts';
import { loadConfig, type Config } from '#src/platform/config/index.ts';

/** The options of commands that speak to the running server as an administrator. */
export const adminOptions = {
  'access-token': { type: 'string', value: 'TOKEN', help: 'The access token of an administrator; else one logs in for the command.' },
  'admin-user': { type: 'string', short: 'u', value: 'NAME', help: 'The administrator who logs in; else it is asked for.' },
  'admin-password': { type: 'string', value: 'PASSWORD', help: 'The password of the administrator; else it is asked for.' },
  config: {
    type: 'string',
    short: 'c',
    multiple: true,
    value: 'FILE',
    help: 'The configuration of the server, which says where it listens; by default data/homeserver.yaml.',
  },
  server: { type: 'string', value: 'URL', help: 'Where the server is, instead of what the configuration says.' },
} as const;

type AdminOptions = Arguments<typeof adminOptions>['options'];

type Json = JsonAnswer['body'];

/** Requests in the name of an administrator. What is not answered by a 200 throws `CommandError` with the server's words. */
export interface AdminSession {
  readonly userId: string;
  get(path: string): Promise<Json>;
  post(path: string, body: object): Promise<Json>;
}

/** Where the server listens for clients without TLS. */
export const localUrl = (config: Config | undefined, io: Io): string => {
  const listener = config?.listeners.find(({ type, tls, port, resources }) => {
    const servesClients = resources.some(({ names }) => names.includes('client'));
    return type === 'http' && !tls && port !== undefined && servesClients;
  });
  if (listener?.port !== undefined) return `http://localhost:${String(listener.port)}`;
  io.complain(
    `${config === undefined ? 'No URL was given' : 'The configuration has no plain listener for clients'}; trying http://localhost:8008`,
  );
  return 'http://localhost:8008';
};

/** The body of a 200. @throws CommandError with what the server says instead */
export const checked = (answer: JsonAnswer): Json => {
  if (answer.status === 200) return answer.body;
  const { error, retry_after_ms: waitMs } = answer.body;
  const reason = typeof error === 'string' ? `: ${error}` : '';
  const advice = typeof waitMs === 'number' ? `. Try again in ${String(Math.ceil(waitMs / 1000))} seconds` : '';
  throw new CommandError(`The server answered ${String(answer.status)}${reason}${advice}`);
};

const serverOf = (given: AdminOptions, io: Io): string => {
  if (given.server !== undefined) return given.server;
  const fallback = existsSync(defaultConfigPath(io.cwd)) ? [defaultConfigPath(io.cwd)] : undefined;
  const paths = given.config ?? fallback;
  if (paths === undefined) throw new UsageError('name the configuration of the server with --config, or its URL with --server');
  return localUrl(loadConfig({ paths }, { cwd: io.cwd, env: io.env }).config, io);
};

const logIn = async (base: string, given: AdminOptions, io: Io): Promise<string> => {
  const user = given['admin-user'] ?? (await io.ask('Administrator: '));
  const password = given['admin-password'] ?? (await io.askSecret('Password of the administrator: '));
  const login = {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user },
    password,
    initial_device_display_name: 'myelin on the command line',
  };
  const { access_token: token } = checked(await askJson('POST', `${base}/_matrix/client/v3/login`, login));
  if (typeof token !== 'string') throw new CommandError('The server did not answer as a homeserver does.');
  return token;
};

/** Does something as an administrator. A session that was begun for it ends with it. @throws CommandError, UsageError */
export const asAdmin = async (given: AdminOptions, io: Io, work: (session: AdminSession) => Promise<void>): Promise<void> => {
  const base = serverUrl(serverOf(given, io));
  const token = given['access-token'] ?? (await logIn(base, given, io));
  const ask = async (method: 'GET' | 'POST', path: string, body?: object): Promise<Json> =>
    checked(await askJson(method, base + path, body, token));
  try {
    const { user_id: userId } = await ask('GET', '/_matrix/client/v3/account/whoami');
    if (typeof userId !== 'string') throw new CommandError('The server did not answer as a homeserver does.');
    await work({ userId, get: (path) => ask('GET', path), post: (path, body) => ask('POST', path, body) });
  } finally {
    if (given['access-token'] === undefined) await askJson('POST', `${base}/_matrix/client/v3/logout`, {}, token);
  }
};

/** A user id from what was typed: a whole one, or a name on the administrator's server. */
export const userIdOf = (typed: string, { userId }: AdminSession): string =>
  typed.startsWith('@') ? typed : `@${typed}${userId.slice(userId.indexOf(':'))}`;
