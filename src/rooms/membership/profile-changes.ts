import { isDeepStrictEqual } from 'node:util';
import type { Database, Reader } from '#src/platform/database/types.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import type { RoomDraft, RoomGraph } from '#src/rooms/graph/index.ts';
import { type MemberProfile, memberContent, membershipIn } from '#src/rooms/membership/changes.ts';

/** What is read of the profiles, which live above rooms. */
export interface ProfileChangesSource {
  /** Profiles whose last change has a position above `from` and up to `to`, in that order, as they are now. */
  changesSince(reader: Reader, from: number, to: number): Promise<readonly { readonly userNum: number; readonly profile: MemberProfile }[]>;
}

/** Carries changed profiles into rooms; a follower of the stream `profiles`. */
export interface ProfileChanges {
  /**
   * Brings the member events of all whose profiles changed at positions in (from, to] up to date. Safe to repeat: what an event says
   * already is not said again.
   */
  handle(from: number, to: number): Promise<void>;
}

const carryInto = async (draft: RoomDraft, userId: string, profile: MemberProfile): Promise<void> => {
  const current = await draft.state('m.room.member', userId);
  if (current === undefined || membershipIn(current) !== 'join') return;
  const isGuest = current.pdu.content.kind === 'guest';
  const content = memberContent({ target: userId, action: 'join' }, { profile, perRoomProfiles: false, isGuest });
  const { displayname, avatar_url: avatarUrl } = current.pdu.content;
  if (isDeepStrictEqual([displayname, avatarUrl], [content.displayname, content.avatar_url])) return;
  await draft.append({ sender: userId, type: 'm.room.member', stateKey: userId, content });
};

/** New names and avatars appear in the rooms that their users have joined (client-server API, "Events on Change of Profile Information"). */
export const createProfileChanges = ({
  graph,
  database,
  strings,
  profiles,
  log,
}: {
  graph: Pick<RoomGraph, 'memberships' | 'rooms' | 'write'>;
  database: Database;
  strings: Strings;
  profiles: ProfileChangesSource;
  log: Logger;
}): ProfileChanges => {
  const carry = async (userNum: number, userId: string, profile: MemberProfile): Promise<void> => {
    const rows = await graph.memberships.ofUser(userNum);
    const joined = [...rows.values()].filter((row) => row.membership === 'join').map((row) => row.roomNum);
    for (const room of (await graph.rooms(joined)).values()) {
      try {
        await graph.write(room, (draft) => carryInto(draft, userId, profile));
      } catch (error) {
        // A room whose rules refuse the change keeps the old name; the others must not wait for it.
        if (!(error instanceof MatrixError)) throw error;
        log.warn({ err: error, room_id: room.roomId, user_id: userId }, 'A room refused a changed profile');
      }
    }
  };

  return {
    handle: async (from, to) => {
      const changed = await database.read('changed profiles', (reader) => profiles.changesSince(reader, from, to));
      const userIds = await strings.textOf(changed.map(({ userNum }) => userNum));
      for (const { userNum, profile } of changed) {
        const userId = userIds.get(userNum);
        if (userId !== undefined) await carry(userNum, userId, profile);
      }
    },
  };
};
