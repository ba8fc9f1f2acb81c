import { adminOptions, asAdmin, userIdOf } from '#src/cli/admin-session.ts';
import { readArguments } from '#src/cli/arguments.ts';
import { helpText, type Command } from '#src/cli/command.ts';
import { CommandError, UsageError, type Io } from '#src/cli/io.ts';

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const { options: given, positionals } = readArguments(args, adminOptions, 4);
  const [sender, senderDevice, receiver, receiverDevice] = positionals;
  if (sender === undefined || senderDevice === undefined || receiver === undefined || receiverDevice === undefined)
    throw new UsageError('name who sends and who cannot read it, each with a device');
  await asAdmin(given, io, async (session) => {
    const parts = [userIdOf(sender, session), senderDevice, userIdOf(receiver, session), receiverDevice].map(encodeURIComponent);
    const { explanation } = await session.get(`/_synapse/admin/v1/explain_encryption/${parts.join('/')}`);
    if (!Array.isArray(explanation)) throw new CommandError('The server did not answer as a homeserver does.');
    // Names of devices are what users make them.
    for (const sentence of explanation) io.print(String(sentence).replaceAll(/\p{Cc}/gu, '?'));
  });
  return 0;
};

export const explainEncryption: Command = {
  help: helpText(
    'explain-encryption [OPTIONS] SENDER DEVICE RECEIVER DEVICE',
    'Says what the server knows of why a device cannot decrypt what another one sends: rooms that they share, keys that are published, one-time\n' +
      'keys that are left, signatures, changes of devices that were not told yet, messages that wait.',
    adminOptions,
  ),
  run,
};
