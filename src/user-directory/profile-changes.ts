import type { Database } from '#src/platform/database/types.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Profiles } from '#src/profiles/index.ts';
import { putEntry } from '#src/user-directory/store.ts';

/** Lists this server's users as their profiles have it, whatever they call themselves in single rooms; a follower of the stream `profiles`. */
export const createOwnProfiles =
  ({ database, strings, profiles }: { database: Database; strings: Strings; profiles: Pick<Profiles, 'changesSince'> }) =>
  async (from: number, to: number): Promise<void> => {
    const changed = await database.read('changed profiles', (reader) => profiles.changesSince(reader, from, to));
    const userIds = await strings.textOf(changed.map(({ userNum }) => userNum));
    if (changed.length === 0) return;
    await database.write('own users in directory', async (tx) => {
      for (const { userNum, profile } of changed) {
        const userId = userIds.get(userNum);
        if (userId === undefined) continue;
        await putEntry(tx, { userNum, userId, isLocal: true }, { displayName: profile.displayname, avatarUrl: profile.avatarUrl });
      }
    });
  };
