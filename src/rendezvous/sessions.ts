import { createHash } from 'node:crypto';
import type { Clock } from '#src/platform/clock.ts';
import type { Random } from '#src/platform/random.ts';

/** A place where two devices leave each other a text. */
export interface Session {
  readonly id: string;
  readonly text: string;
  /** Another with each text, so that nobody overwrites what was not read. */
  readonly tag: string;
  /** That of the text before. */
  readonly tagBefore: string | undefined;
  /** Milliseconds since the epoch. */
  readonly modifiedTs: number;
  readonly expiresTs: number;
}

/** Sessions in memory; a restart forgets them, and the people at the devices begin anew. */
export interface Sessions {
  create(text: string): Session;
  get(id: string): Session | undefined;
  /** Puts another text in the place of a session's, which lives no longer by it. */
  replace(session: Session, text: string): Session;
  /** Answers whether there was one. */
  remove(id: string): boolean;
}

export interface SessionsTools {
  readonly clock: Clock;
  readonly random: Random;
  readonly ttlMs: number;
  /** What tells one text from another: its own hash, or also which of the session's texts it is. */
  readonly tagBy: 'text' | 'turn';
}

/** Beyond so many the oldest go. */
const MAX_SESSIONS = 200;
const ID_LENGTH = 26;

export const createSessions = ({ clock, random, ttlMs, tagBy }: SessionsTools): Sessions => {
  /** In the order of their making, so that the first is the first to expire. */
  const sessions = new Map<string, Session>();
  let turn = 0;

  const tagOf = (id: string, text: string): string => {
    turn += 1;
    const what = tagBy === 'text' ? text : `${id} ${String(turn)} ${text}`;
    return createHash('sha256').update(what).digest('base64url');
  };

  const sweep = (): void => {
    const nowMs = clock.now();
    for (const [id, { expiresTs }] of sessions) {
      if (expiresTs > nowMs && sessions.size < MAX_SESSIONS) return;
      sessions.delete(id);
    }
  };

  return {
    create: (text) => {
      sweep();
      const id = random.string(ID_LENGTH);
      const nowMs = clock.now();
      const session: Session = { id, text, tag: tagOf(id, text), tagBefore: undefined, modifiedTs: nowMs, expiresTs: nowMs + ttlMs };
      sessions.set(id, session);
      return session;
    },
    get: (id) => {
      const session = sessions.get(id);
      return session !== undefined && session.expiresTs > clock.now() ? session : undefined;
    },
    replace: (session, text) => {
      const tag = tagOf(session.id, text);
      const replaced: Session = { ...session, text, tag, tagBefore: session.tag, modifiedTs: clock.now() };
      sessions.set(session.id, replaced);
      return replaced;
    },
    remove: (id) => sessions.delete(id),
  };
};
