import { adminOptions, asAdmin, userIdOf, type AdminSession } from '#src/cli/admin-session.ts';
import { readArguments } from '#src/cli/arguments.ts';
import { helpText, type Command } from '#src/cli/command.ts';
import { CommandError, UsageError, type Io } from '#src/cli/io.ts';

interface Device {
  readonly device_id: string;
  readonly display_name: string | null;
  readonly last_seen_ip: string | null;
  readonly last_seen_ts: number | null;
}

const MAX_DROPS = 500;

const pathOf = (userId: string): string => `/_synapse/admin/v2/users/${encodeURIComponent(userId)}`;

const devicesOf = async (session: AdminSession, userId: string): Promise<readonly Device[]> => {
  const { devices } = await session.get(`${pathOf(userId)}/devices`);
  if (!Array.isArray(devices)) throw new CommandError('The server did not answer as a homeserver does.');
  return devices as readonly Device[];
};

/** One line: device, when and where it was last seen, name. Names are what users make them, so control characters are not printed. */
const describe = ({ device_id: id, display_name: name, last_seen_ip: ip, last_seen_ts: ts }: Device): string => {
  const seen = ts === null ? 'never seen' : `${new Date(ts).toISOString().slice(0, 16).replace('T', ' ')} ${ip ?? ''}`;
  return `${id}\t${seen}\t${name ?? ''}`.replaceAll(/[^\P{Cc}\t]/gu, '?').trimEnd();
};

const list = async (args: readonly string[], io: Io): Promise<number> => {
  const { options: given, positionals } = readArguments(args, adminOptions, 1);
  const [typed] = positionals;
  if (typed === undefined) throw new UsageError('name the user whose sessions are to be listed');
  await asAdmin(given, io, async (session) => {
    const devices = await devicesOf(session, userIdOf(typed, session));
    for (const device of devices) io.print(describe(device));
    if (devices.length === 0) io.complain('There are none.');
  });
  return 0;
};

export const listSessions: Command = {
  help: helpText(
    'list-sessions [OPTIONS] USER',
    'Lists the devices on which a user is logged in: device id, when (UTC) and from where it was last seen, name.',
    adminOptions,
  ),
  run: list,
};

const dropOptions = { ...adminOptions, all: { type: 'boolean', help: 'Log the user out everywhere.' } } as const;

const drop = async (args: readonly string[], io: Io): Promise<number> => {
  const { options: given, positionals } = readArguments(args, dropOptions, MAX_DROPS);
  const [typed, ...named] = positionals;
  if (typed === undefined) throw new UsageError('name the user whose sessions are to be dropped');
  if ((given.all === true) === named.length > 0) throw new UsageError('name the devices that are to be logged out, or say --all');
  await asAdmin(given, io, async (session) => {
    const userId = userIdOf(typed, session);
    const present = (await devicesOf(session, userId)).map((device) => device.device_id);
    const absent = named.filter((id) => !present.includes(id));
    if (absent.length > 0) throw new CommandError(`${userId} has no such device: ${absent.join(', ')}`);
    const dropped = given.all === true ? present : named;
    for (let from = 0; from < dropped.length; from += MAX_DROPS) {
      await session.post(`${pathOf(userId)}/delete_devices`, { devices: dropped.slice(from, from + MAX_DROPS) });
    }
    io.print(`${userId} was logged out of ${String(dropped.length)} ${dropped.length === 1 ? 'device' : 'devices'}.`);
  });
  return 0;
};

export const dropSessions: Command = {
  help: helpText(
    'drop-sessions [OPTIONS] USER [DEVICE...]',
    'Logs a user out of devices and deletes them, with their encryption keys.',
    dropOptions,
  ),
  run: drop,
};
