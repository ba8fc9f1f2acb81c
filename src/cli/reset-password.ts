import { adminOptions, asAdmin, userIdOf } from '#src/cli/admin-session.ts';
import { readArguments } from '#src/cli/arguments.ts';
import { helpText, type Command } from '#src/cli/command.ts';
import { newPassword, UsageError, type Io } from '#src/cli/io.ts';

const options = {
  ...adminOptions,
  password: { type: 'string', short: 'p', value: 'PASSWORD', help: 'The new password; else it is asked for.' },
  'keep-sessions': { type: 'boolean', help: 'Leave the user logged in; else all devices are logged out.' },
} as const;

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const { options: given, positionals } = readArguments(args, options, 1);
  const [typed] = positionals;
  if (typed === undefined) throw new UsageError('name the user whose password is to be reset');
  await asAdmin(given, io, async (session) => {
    const userId = userIdOf(typed, session);
    if (given.password === undefined) io.print(`A new password for ${userId}:`);
    const password = await newPassword(given.password, io);
    const logout = given['keep-sessions'] !== true;
    await session.post(`/_synapse/admin/v1/reset_password/${encodeURIComponent(userId)}`, {
      new_password: password,
      logout_devices: logout,
    });
    io.print(`${userId} has a new password${logout ? ', and was logged out everywhere' : ''}.`);
  });
  return 0;
};

export const resetPassword: Command = {
  help: helpText('reset-password [OPTIONS] USER', 'Gives a user of the running server a new password.', options),
  run,
};
