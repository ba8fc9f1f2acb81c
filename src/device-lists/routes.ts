import { Type } from '#src/platform/schema.ts';
import type { AccountAccess } from '#src/accounts/index.ts';
import { client, route } from '#src/platform/http/route.ts';
import type { Route } from '#src/platform/http/route.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';
import { EVENTS_STREAM } from '#src/rooms/graph/index.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { DeviceLists, Moves } from '#src/device-lists/service.ts';

const VERSIONS = ['v3', 'r0', 'unstable'];

/** What a token of `/sync` says that matters here. */
export interface SyncPlace {
  readonly events: number;
  /** Undefined for a token that knows nothing of device lists. */
  readonly deviceLists: number | undefined;
}

/** The changes since a sync, for clients that were away for long. */
export const deviceListRoutes = ({
  access,
  database,
  graph,
  deviceLists,
  parseToken,
}: {
  access: Pick<AccountAccess, 'guest'>;
  database: Pick<Database, 'positions'>;
  graph: { readonly memberships: Pick<RoomGraph['memberships'], 'changes' | 'ofUser'> };
  deviceLists: DeviceLists;
  /** Reads a token of `/sync`; throws for what is none. */
  parseToken: (text: string) => SyncPlace;
}): Route[] => {
  /** The rooms that somebody came into or left, by the last of the changes, and those where others may have. */
  const movesSince = async (userNum: number, after: number): Promise<Moves> => {
    const upTo = database.positions.current(EVENTS_STREAM).min;
    const changes = await graph.memberships.changes(userNum, after, upTo);
    const last = new Map(changes.map((change) => [change.room_num, change.membership]));
    const inState = (...memberships: readonly string[]): number[] =>
      [...last].filter(([, membership]) => memberships.includes(membership)).map(([roomNum]) => roomNum);
    const rows = [...(await graph.memberships.ofUser(userNum)).values()];
    const roomNums = rows.filter((row) => row.membership === 'join' && !last.has(row.roomNum)).map((row) => row.roomNum);
    return { newlyJoined: inState('join'), newlyLeft: inState('leave', 'ban'), stayedIn: { roomNums, after, upTo } };
  };

  return [
    route({
      method: 'GET',
      path: client('/keys/changes', VERSIONS),
      access: access.guest,
      // The answer goes up to now, whatever `to` says: more cannot hurt.
      query: Type.Object({ from: Type.String() }),
      handle: async ({ caller, query }) => {
        const from = parseToken(query.from);
        const moves = await movesSince(caller.userNum, from.events);
        return deviceLists.changes(caller, { after: from.deviceLists, upTo: deviceLists.now().position }, moves);
      },
    }),
  ];
};
