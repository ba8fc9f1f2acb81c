import { isDeepStrictEqual } from 'node:util';
import { entryCache } from '#src/platform/cache/index.ts';
import type { Database, Reader } from '#src/platform/database/types.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import type { RoomDraft, RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import { type MemberProfile, memberContent, membershipIn } from '#src/rooms/membership/changes.ts';

/** What is read of the profiles, which live above rooms. */
export interface ProfileChangesSource {
  /** Profiles whose last change has a position above `from` and up to `to`, in that order, as they are now. */
  changesSince(reader: Reader, from: number, to: number): Promise<readonly ProfileChange[]>;
}

interface ProfileChange {
  readonly userNum: number;
  readonly profile: MemberProfile;
  /** How far the stream of events was when the change was asked for. */
  readonly eventsPosition: number;
}

/** Carries changed profiles into rooms; a follower of the stream `profiles`. */
export interface ProfileChanges {
  /**
   * Brings the member events of all whose profiles changed at positions in (from, to] up to date. Safe to repeat: what an event says
   * already is not said again.
   */
  handle(from: number, to: number): Promise<void>;
}

const MAX_CARRIED = 10_000;

/** New names and avatars appear in the rooms that their users have joined (client-server API, "Events on Change of Profile Information"). */
export const createProfileChanges = ({
  graph,
  database,
  strings,
  profiles,
  log,
}: {
  graph: Pick<RoomGraph, 'memberships' | 'rooms' | 'write' | 'timeline' | 'states' | 'events'>;
  database: Database;
  strings: Strings;
  profiles: ProfileChangesSource;
  log: Logger;
}): ProfileChanges => {
  /** Member events that were made here: of all that came after a change these alone are not their users' choices. */
  const carried = entryCache<number, true>(MAX_CARRIED);

  /** Whether a member who was in the room when the profile changed has said something else of that room since. */
  const isChosenSince = async (room: RoomInfo, userId: string, current: RoomEvent, eventsPosition: number): Promise<boolean> => {
    if ((current.position ?? Infinity) <= eventsPosition || carried.has(current.num)) return false;
    const root = await graph.timeline.rootAt(room.num, eventsPosition);
    const num = await graph.states.get(room.num, root, 'm.room.member', userId);
    // Who has come in since may have been given the old name.
    return num !== undefined && membershipIn(await graph.events.byNum(num)) === 'join';
  };

  const carryInto = async (draft: RoomDraft, userId: string, { profile, eventsPosition }: ProfileChange): Promise<void> => {
    const current = await draft.state('m.room.member', userId);
    if (current === undefined || membershipIn(current) !== 'join') return;
    const isGuest = current.pdu.content.kind === 'guest';
    const content = memberContent({ target: userId, action: 'join' }, { profile, perRoomProfiles: false, isGuest });
    const { displayname, avatar_url: avatarUrl } = current.pdu.content;
    if (isDeepStrictEqual([displayname, avatarUrl], [content.displayname, content.avatar_url])) return;
    if (await isChosenSince(draft.room, userId, current, eventsPosition)) return;
    const made = await draft.append({ sender: userId, type: 'm.room.member', stateKey: userId, content });
    carried.set(made.num, true);
  };

  const carry = async (userId: string, change: ProfileChange): Promise<void> => {
    const { userNum } = change;
    const rows = await graph.memberships.ofUser(userNum);
    const joined = [...rows.values()].filter((row) => row.membership === 'join').map((row) => row.roomNum);
    for (const room of (await graph.rooms(joined)).values()) {
      try {
        await graph.write(room, (draft) => carryInto(draft, userId, change));
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
      for (const change of changed) {
        const userId = userIds.get(change.userNum);
        if (userId !== undefined) await carry(userId, change);
      }
    },
  };
};
