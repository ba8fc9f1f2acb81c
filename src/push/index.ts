import type { AccountAccess } from '#src/accounts/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import type { Route } from '#src/platform/http/route.ts';
import type { Jobs } from '#src/platform/jobs/index.ts';
import { EVENTS_STREAM, type RoomGraph } from '#src/rooms/graph/index.ts';
import { createUnreadCounts, type UnreadCounts } from '#src/push/counts.ts';
import { deleteClasses, unusedClasses } from '#src/push/counts-store.ts';
import { createIgnored, type Ignored } from '#src/push/ignored.ts';
import { deleteIgnored } from '#src/push/ignored-store.ts';
import { createCounting } from '#src/push/participant.ts';
import type { ReadMarks } from '#src/push/ports.ts';
import { createRecentCounts } from '#src/push/recent.ts';
import { createPushRooms } from '#src/push/rooms.ts';
import { pushRoutes } from '#src/push/routes.ts';
import { createPushRules, type PushRules } from '#src/push/rules.ts';
import { deletePushersOf } from '#src/push/pushers/store.ts';
import { deleteRules } from '#src/push/rules-store.ts';
import { createPushRulesSource, type PushRulesSource } from '#src/push/sync-source.ts';

export { createPusherPart, type PusherPart } from '#src/push/pushers/index.ts';
export { describePusher } from '#src/push/pushers/routes.ts';
export type { Pushers } from '#src/push/pushers/service.ts';
export { deletePushersOfSessions } from '#src/push/pushers/store.ts';
export { startRecount } from '#src/push/recount.ts';
export { repairCounting } from '#src/push/repair.ts';
export { verifyCounting } from '#src/push/verify-store.ts';
export type { RoomCounts, UnreadCounts } from '#src/push/counts.ts';
export type { ReadMark, ReadMarks } from '#src/push/ports.ts';
export type { PushRules } from '#src/push/rules.ts';
export type { PushRulesSource } from '#src/push/sync-source.ts';

/** Push rules, and counts of what users have not read. */
export interface Push {
  readonly routes: readonly Route[];
  readonly rules: PushRules;
  readonly unreadCounts: UnreadCounts;
  readonly ignored: Ignored;
  /** `m.push_rules` for sync. */
  readonly source: PushRulesSource;
  /** Takes note of whom a user ignores from now on; called in the transaction that changes the list. */
  readonly setIgnored: (tx: Transaction, userNum: number, senderNums: readonly number[]) => Promise<void>;
}

export interface PushTools {
  readonly database: Database;
  readonly strings: Strings;
  readonly graph: RoomGraph;
  readonly access: AccountAccess;
  readonly readMarks: ReadMarks;
  readonly serverName: string;
  readonly jobs: Pick<Jobs, 'every'>;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** Puts the slice together; from now on every event is counted as it is written. */
export const createPush = async ({ database, strings, graph, access, readMarks, serverName, jobs }: PushTools): Promise<Push> => {
  const rules = createPushRules({ database });
  const rooms = createPushRooms({ database, strings, graph, rules });
  const ignored = await createIgnored(database);
  const recent = createRecentCounts(database.positions.current(EVENTS_STREAM).min);
  graph.takePart(createCounting({ database, graph, rooms, rules, ignored, readMarks, recent, serverName }));
  jobs.every('forget push classes', DAY_MS, async () => {
    const unused = await database.readLong<{ class_num: number }>('unused push classes', unusedClasses);
    if (unused.length === 0) return;
    await database.write('forget push classes', async (tx) =>
      deleteClasses(
        tx,
        unused.map((row) => row.class_num),
      ),
    );
  });
  return {
    routes: pushRoutes({ access, pushRules: rules }),
    rules,
    unreadCounts: createUnreadCounts({ database, graph, readMarks, ignored, recent }),
    source: createPushRulesSource({ database, rules }),
    ignored,
    setIgnored: ignored.set,
  };
};

/** Deletes a user's push rules and what goes with them. */
export const deletePushDataOf = async (tx: Transaction, userNum: number): Promise<void> => {
  await deleteRules(tx, userNum);
  await deleteIgnored(tx, userNum);
  await deletePushersOf(tx, userNum);
};
