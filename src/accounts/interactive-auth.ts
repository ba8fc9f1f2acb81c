import { invalidParam, MatrixError, unknown } from '#src/protocol/errors.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import type { InteractiveData, InteractiveSession, InteractiveSessions, Operation } from '#src/accounts/interactive-sessions.ts';
import type { Stage } from '#src/accounts/interactive-stages.ts';
import type { RegistrationTokens } from '#src/accounts/registration-tokens.ts';

type Json = Readonly<Record<string, unknown>>;

const SWEEP_LIMIT = 500;
const TOO_MANY_REQUESTS = 429;

/** A request that has to be confirmed by interactive authentication. */
export interface InteractiveRequest extends Operation {
  readonly auth: unknown;
  /** The body without `auth` and without secrets. */
  readonly params: Json;
}

export type Interaction =
  | { readonly done: true; readonly session: InteractiveSession }
  /** `body` is that of the 401 which tells the client how to go on. */
  | { readonly done: false; readonly session: InteractiveSession; readonly body: Json };

export interface InteractiveAuth {
  /**
   * Takes an interactive request one step further: begins a session or goes on with the one named in `auth`, and judges the stage
   * that `auth` tries. A failed stage is told in the body; a session that is not known, or that was begun for another request, throws.
   */
  readonly proceed: (request: InteractiveRequest & { readonly flows: readonly (readonly string[])[] }) => Promise<Interaction>;
  /** Passes one stage of a session outside of the request that it was begun for, as the pages for people do; throws why it was not passed. */
  readonly pass: (sessionId: string, type: string, auth: Json) => Promise<void>;
  /** What is kept for a session; empty when there is no such session. */
  readonly dataOf: (sessionId: string) => Promise<InteractiveData>;
  /** Changes what is kept for a session. */
  readonly remember: (tx: Transaction, sessionId: string, data: InteractiveData) => Promise<void>;
  /** Deletes sessions that took too long. */
  readonly sweep: () => Promise<void>;
}

/** The session that `auth` names; undefined for a new one. Throws `M_INVALID_PARAM` for what cannot be one. */
export const sessionIdOf = (auth: unknown): string | undefined => {
  if (auth === undefined || auth === null) return undefined;
  if (typeof auth !== 'object' || Array.isArray(auth)) throw invalidParam('auth must be an object');
  const { session } = auth as Json;
  if (session === undefined || session === null || session === '') return undefined;
  if (typeof session !== 'string') throw invalidParam('Invalid session ID');
  return session;
};

/** User-interactive authentication (client-server API, "User-Interactive Authentication API"). */
export const createInteractiveAuth = ({
  database,
  sessions,
  stages,
  registrationTokens,
}: {
  database: Database;
  sessions: InteractiveSessions;
  stages: ReadonlyMap<string, Stage>;
  registrationTokens: RegistrationTokens;
}): InteractiveAuth => {
  /** Judges one stage, and answers the session with it completed. */
  const attempt = async (sessionId: string, stage: Stage, type: string, auth: Json): Promise<InteractiveSession> => {
    const pass = await stage(auth);
    return database.write('interactive auth stage', (tx) =>
      sessions.change(tx, sessionId, async (session) => {
        const { result, data } = await pass(tx, session);
        return { ...session, completed: { ...session.completed, [type]: result }, data: { ...session.data, ...data } };
      }),
    );
  };

  const stageOf = (type: string): Stage => {
    const stage = stages.get(type);
    if (stage === undefined) throw unknown(`Unknown login type ${type.slice(0, 64)}`);
    return stage;
  };

  const proceed: InteractiveAuth['proceed'] = async ({ flows, method, uri, auth, params }) => {
    const operation = { method, uri };
    const sessionId = sessionIdOf(auth);
    const tried = (auth ?? {}) as Json;
    let session = sessionId === undefined ? await sessions.begin(operation, params) : await sessions.resume(sessionId, operation, params);
    const state = { session: session.sessionId, flows: flows.map((flow) => ({ stages: flow })), params: {} };
    if (Object.keys(tried).length === 0) return { done: false, session, body: state };

    let failure: Json = {};
    const { type } = tried;
    if (type !== undefined) {
      if (typeof type !== 'string') throw invalidParam('Bad parameter: type');
      const stage = stageOf(type);
      try {
        session = await attempt(session.sessionId, stage, type, tried);
      } catch (error) {
        if (!(error instanceof MatrixError) || error.status === TOO_MANY_REQUESTS) throw error;
        failure = { errcode: error.errcode, error: error.message, ...error.fields };
      }
    }
    if (flows.some((flow) => flow.every((stage) => Object.hasOwn(session.completed, stage)))) return { done: true, session };
    return { done: false, session, body: { ...state, completed: Object.keys(session.completed), ...failure } };
  };

  const sweepSome = async (tx: Transaction): Promise<number> => {
    const old = await sessions.deleteOld(tx, SWEEP_LIMIT);
    for (const { data } of old) {
      if (data.registrationToken !== undefined && data.registeredUser === undefined) {
        await registrationTokens.release(tx, data.registrationToken);
      }
    }
    return old.length;
  };

  return {
    proceed,
    pass: async (sessionId, type, auth) => {
      await attempt(sessionId, stageOf(type), type, auth);
    },
    dataOf: sessions.dataOf,
    remember: async (tx, sessionId, data) => {
      await sessions.change(tx, sessionId, (session) => Promise.resolve({ ...session, data: { ...session.data, ...data } }));
    },
    sweep: async () => {
      while ((await database.write('sweep interactive auth', sweepSome)) === SWEEP_LIMIT);
    },
  };
};
