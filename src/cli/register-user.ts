import { createHmac } from 'node:crypto';
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { checked, localUrl } from '#src/cli/admin-session.ts';
import { readArguments } from '#src/cli/arguments.ts';
import { helpText, type Command } from '#src/cli/command.ts';
import { defaultConfigPath } from '#src/cli/generate.ts';
import { askJson, serverUrl } from '#src/cli/http.ts';
import { newPassword, CommandError, UsageError, type Io } from '#src/cli/io.ts';
import { loadConfig } from '#src/platform/config/index.ts';

const options = {
  user: { type: 'string', short: 'u', value: 'NAME', help: 'The local part of the user id; else it is asked for.' },
  password: { type: 'string', short: 'p', value: 'PASSWORD', help: 'The password; else it is asked for.' },
  user_type: { type: 'string', short: 't', value: 'TYPE', help: 'A special type of user: bot or support.' },
  admin: { type: 'boolean', short: 'a', help: 'Make an administrator.' },
  'no-admin': { type: 'boolean', help: 'Make an ordinary user; else it is asked for.' },
  config: {
    type: 'string',
    short: 'c',
    multiple: true,
    value: 'FILE',
    help: 'The configuration of the server, which has the secret; by default data/homeserver.yaml.',
  },
  'shared-secret': { type: 'string', short: 'k', value: 'SECRET', help: 'The secret itself: registration_shared_secret.' },
} as const;

interface NewUser {
  readonly username: string;
  readonly password: string;
  readonly isAdmin: boolean;
  readonly userType: string | undefined;
}

/** Registers with proof that one knows the secret. */
const register = async (server: string, secret: string, user: NewUser): Promise<string> => {
  const url = `${server}/_synapse/admin/v1/register`;
  const nonce = checked(await askJson('GET', url))['nonce'];
  if (typeof nonce !== 'string') throw new CommandError('The server did not answer as a homeserver does.');
  const role = user.isAdmin ? 'admin' : 'notadmin';
  const proven = [nonce, user.username, user.password, role, ...(user.userType === undefined ? [] : [user.userType])];
  const answer = checked(
    await askJson('POST', url, {
      nonce,
      username: user.username,
      password: user.password,
      admin: user.isAdmin,
      ...(user.userType === undefined ? {} : { user_type: user.userType }),
      mac: createHmac('sha1', secret).update(proven.join('\0')).digest('hex'),
    }),
  );
  return typeof answer['user_id'] === 'string' ? answer['user_id'] : user.username;
};

const askUsername = async (io: Io): Promise<string> => {
  const suggestion = userInfo().username;
  const answer = await io.ask(`New user's local part [${suggestion}]: `);
  return answer === '' ? suggestion : answer;
};

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const { options: given, positionals } = readArguments(args, options, 1);
  if (given.admin === true && given['no-admin'] === true) throw new UsageError('--admin and --no-admin exclude each other');
  if (given.config !== undefined && given['shared-secret'] !== undefined)
    throw new UsageError('--config and --shared-secret exclude each other');
  const fallback = existsSync(defaultConfigPath(io.cwd)) ? [defaultConfigPath(io.cwd)] : undefined;
  const paths = given['shared-secret'] === undefined ? (given.config ?? fallback) : undefined;
  if (paths === undefined && given['shared-secret'] === undefined)
    throw new UsageError('name the configuration of the server with --config, or its secret with --shared-secret');
  const config = paths === undefined ? undefined : loadConfig({ paths }, { cwd: io.cwd, env: io.env }).config;
  const secret = given['shared-secret'] ?? config?.registration_shared_secret;
  if (secret === undefined) throw new CommandError('The configuration has no registration_shared_secret.');
  const server = serverUrl(positionals[0] ?? localUrl(config, io));

  const username = given.user ?? (await askUsername(io));
  const password = await newPassword(given.password, io);
  let isAdmin = given.admin === true;
  if (!isAdmin && given['no-admin'] !== true && given.user_type === undefined) {
    isAdmin = ['y', 'yes', 'true'].includes((await io.ask('Make admin [no]: ')).toLowerCase());
  }
  io.print(`Sending the registration to ${server} …`);
  const userId = await register(server, secret, { username, password, isAdmin, userType: given.user_type });
  io.print(`${userId} was registered${isAdmin ? ' as an administrator' : ''}.`);
  return 0;
};

export const registerUser: Command = {
  help: helpText(
    'register-user [OPTIONS] [SERVER_URL]',
    'Makes an account on the running server, even when registration is closed.',
    options,
  ),
  run,
};
