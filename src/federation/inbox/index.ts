import type { Clock } from '#src/platform/clock.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Access, Route } from '#src/platform/http/route.ts';
import type { Jobs } from '#src/platform/jobs/index.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { DroppedEventError, type RoomGraph, type RoomInfo } from '#src/rooms/graph/index.ts';
import type { Peer } from '#src/federation/access.ts';
import { createEdus, type EduTools } from '#src/federation/inbox/edus.ts';
import type { Questions } from '#src/federation/history/questions.ts';
import { createGaps } from '#src/federation/inbox/gaps.ts';
import { createSortPdus } from '#src/federation/inbox/pdus.ts';
import { createRoomQueues, type RoomQueues, type StagedPdu } from '#src/federation/inbox/room-queues.ts';
import { inboxRoutes } from '#src/federation/inbox/routes.ts';
import { deleteStaged, deleteTransactionsBefore, readStaged, type StagedRow } from '#src/federation/inbox/store.ts';
import { createTransactions } from '#src/federation/inbox/transactions.ts';
import type { Arrivals } from '#src/federation/rooms/arrivals.ts';

/** What other servers send, taken in. */
export interface Inbox {
  readonly routes: readonly Route[];
  /** Goes on with the events that an earlier process took in and did not judge; to be called before anything can be sent. */
  resume(): Promise<void>;
  /**
   * Takes an event that another server gave into a room that this server is in, with what is missing before it. Throws `DroppedEventError`, `MissingEventsError`.
   */
  takeIn(room: RoomInfo, origin: string, pdu: JsonObject, signal: AbortSignal): Promise<void>;
  /** Ends after what is being done. */
  close(): Promise<void>;
}

const PAGE = 500;
const DAY_MS = 24 * 60 * 60 * 1000;
/** As long as a transaction is remembered; Synapse does as long. */
const TRANSACTION_AGE_MS = 30 * DAY_MS;
const SWEEP_INTERVAL_MS = 60 * 60 * 1000;

interface Tools extends Omit<EduTools, 'untilJudged'> {
  readonly graph: RoomGraph;
  readonly database: Database;
  readonly strings: Strings;
  readonly clock: Clock;
  readonly jobs: Jobs;
  readonly questions: Questions;
  readonly peer: Access<Peer>;
  readonly arrivals: Arrivals;
  readonly serverName: string;
  readonly log: Logger;
}

export const createInbox = (tools: Tools): Inbox => {
  const { graph, database, strings, clock, jobs, questions, peer, arrivals, serverName, log } = tools;
  const forget = async (positions: readonly number[]): Promise<void> =>
    database.write('judged events', async (tx) => deleteStaged(tx, positions));
  const gaps = createGaps({ graph, questions, log });
  const queues: RoomQueues = createRoomQueues({ graph, gaps, arrivals, forget, log });
  const sortPdus = createSortPdus({ graph, strings, serverName, arrivals, isStaged: queues.has });
  const edus = createEdus({ ...tools, untilJudged: queues.idle });
  const transactions = createTransactions({ database, clock, queues, sortPdus, edus });

  let resuming = Promise.resolve();
  let isClosing = false;

  jobs.every('sweep received transactions', SWEEP_INTERVAL_MS, async () => {
    await database.write('sweep received transactions', async (tx) => deleteTransactionsBefore(tx, clock.now() - TRANSACTION_AGE_MS));
  });

  const stagedPdu = async ({ position, room_num: roomNum, origin, json }: StagedRow): Promise<StagedPdu | undefined> => {
    const room = (await graph.rooms([roomNum])).get(roomNum);
    if (room === undefined) return undefined;
    try {
      return { position, room, origin, checked: await graph.check(room, json), isEarly: true };
    } catch (error) {
      if (!(error instanceof DroppedEventError)) throw error;
      log.info(`An event that was taken in is given up: ${error.message}`);
      return undefined;
    }
  };

  const allStaged = async (): Promise<StagedRow[]> => {
    const rows: StagedRow[] = [];
    for (let after = 0, isMore = true; isMore;) {
      const page = await database.read('staged events', (reader) => readStaged(reader, after, PAGE));
      rows.push(...page);
      after = page.at(-1)?.position ?? after;
      isMore = page.length === PAGE;
    }
    return rows;
  };

  const goOn = async (rows: readonly StagedRow[]): Promise<void> => {
    for (const row of rows) {
      if (isClosing) return;
      const pdu = await stagedPdu(row);
      if (pdu === undefined) await forget([row.position]);
      else queues.add([pdu]);
    }
  };

  return {
    routes: inboxRoutes({ peer, transactions }),
    resume: async () => {
      const rows = await allStaged();
      if (rows.length > 0) log.info(`${String(rows.length)} events that were taken in have yet to be judged`);
      resuming = goOn(rows).catch((error: unknown) => log.error({ err: error }, 'Events that were taken in could not be judged'));
    },
    takeIn: async (room, origin, pdu, signal) => gaps.receive(room, origin, await graph.check(room, pdu), signal),
    close: async () => {
      isClosing = true;
      await resuming;
      await queues.close();
      await edus.close();
    },
  };
};
