import { forbidden, unknown } from '#src/protocol/errors.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import type { Random } from '#src/platform/random.ts';
import { deleteOldInteractive, insertInteractive, readInteractive, updateInteractive } from '#src/accounts/store/interactive.ts';
import type { InteractiveRow } from '#src/accounts/store/interactive.ts';

type Json = Readonly<Record<string, unknown>>;

/** How long a client may take for all stages. */
const SESSION_LIFETIME_MS = 48 * 3600 * 1000;

/** What the server keeps for a session beside what the client sees. */
export interface InteractiveData {
  /** The hash of the new password that an earlier request carried. */
  readonly passwordHash?: string;
  /** The user that this session has registered. */
  readonly registeredUser?: string;
  /** The registration token of which a use is held; undefined again when it was used. */
  readonly registrationToken?: string;
}

export interface InteractiveSession {
  readonly sessionId: string;
  /** The request's body without `auth`, as it was last sent. */
  readonly params: Json;
  /** Stage to its result. */
  readonly completed: Json;
  readonly data: InteractiveData;
}

/** What a session was begun for, and may only be used for. */
export interface Operation {
  readonly method: string;
  readonly uri: string;
}

/** The stored sessions of interactive authentication. All that take an id throw `M_UNKNOWN` for one that is not there, or too old. */
export interface InteractiveSessions {
  readonly begin: (operation: Operation, params: Json) => Promise<InteractiveSession>;
  /** Goes on with a session; `params` replace the earlier ones unless empty. Throws `M_FORBIDDEN` for another operation. */
  readonly resume: (sessionId: string, operation: Operation, params: Json) => Promise<InteractiveSession>;
  /** Changes a session within a transaction. */
  readonly change: (
    tx: Transaction,
    sessionId: string,
    change: (session: InteractiveSession) => Promise<InteractiveSession>,
  ) => Promise<InteractiveSession>;
  /** What is kept for a session; empty when there is no such session. */
  readonly dataOf: (sessionId: string) => Promise<InteractiveData>;
  /** Deletes up to `limit` sessions that took too long, and answers them. */
  readonly deleteOld: (tx: Transaction, limit: number) => Promise<InteractiveSession[]>;
}

const parse = (row: InteractiveRow): InteractiveSession => ({
  sessionId: row.session_id,
  params: JSON.parse(row.params) as Json,
  completed: JSON.parse(row.completed) as Json,
  data: JSON.parse(row.data) as InteractiveData,
});

const serialise = (session: InteractiveSession): Pick<InteractiveRow, 'session_id' | 'params' | 'completed' | 'data'> => ({
  session_id: session.sessionId,
  params: JSON.stringify(session.params),
  completed: JSON.stringify(session.completed),
  data: JSON.stringify(session.data),
});

const isSessionId = (text: string): boolean => /^[A-Za-z]{1,64}$/.test(text);

/** Sessions of interactive authentication: 48 hours in the database. */
export const createInteractiveSessions = ({
  database,
  clock,
  random,
}: {
  database: Database;
  clock: Clock;
  random: Random;
}): InteractiveSessions => {
  const oldestTs = (): number => clock.now() - SESSION_LIFETIME_MS;

  const readRow = async (tx: Transaction, sessionId: string): Promise<InteractiveRow> => {
    const row = isSessionId(sessionId) ? await readInteractive(tx, sessionId, oldestTs()) : undefined;
    if (row === undefined) throw unknown(`Unknown session ID: ${sessionId.slice(0, 64)}`);
    return row;
  };

  return {
    begin: ({ method, uri }, params) =>
      database.write('begin interactive auth', async (tx) => {
        const session: InteractiveSession = { sessionId: random.string(24), params, completed: {}, data: {} };
        await insertInteractive(tx, { ...serialise(session), created_ts: clock.now(), method, uri });
        return session;
      }),
    resume: (sessionId, { method, uri }, params) =>
      database.write('resume interactive auth', async (tx) => {
        const row = await readRow(tx, sessionId);
        if (row.method !== method || row.uri !== uri) {
          throw forbidden('Requested operation has changed during the UI authentication session.');
        }
        const session = parse(row);
        if (Object.keys(params).length === 0) return session;
        const updated = { ...session, params };
        await updateInteractive(tx, serialise(updated));
        return updated;
      }),
    change: async (tx, sessionId, change) => {
      const updated = await change(parse(await readRow(tx, sessionId)));
      await updateInteractive(tx, serialise(updated));
      return updated;
    },
    dataOf: async (sessionId) => {
      if (!isSessionId(sessionId)) return {};
      const row = await database.read('interactive auth', (reader) => readInteractive(reader, sessionId, oldestTs()));
      return row === undefined ? {} : parse(row).data;
    },
    deleteOld: async (tx, limit) => (await deleteOldInteractive(tx, oldestTs(), limit)).map(parse),
  };
};
