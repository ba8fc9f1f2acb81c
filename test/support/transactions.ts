import { setTimeout as sleep } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import assert from 'node:assert/strict';
import { json, type ScriptedPeer } from './scripted-peer.ts';
import type { Json } from './client.ts';

/** A transaction as a scripted server got it. */
export interface Received {
  readonly id: string;
  readonly pdus: readonly (Json & { readonly type: string; readonly content: Json })[];
  readonly edus: readonly { readonly edu_type: string; readonly content: Json }[];
  /** With what it was answered; undefined while it waits. */
  status: number | undefined;
}

/** What a scripted server gets by `PUT /send`. */
export interface Transactions {
  /** Every request, also those that were answered with an error. */
  readonly all: readonly Received[];
  /** Answers with this status from now on; undefined for not at all until it is called again, which answers what waits too. */
  answer(status: number | undefined): void;
  /** How many there were under way at most. */
  readonly mostAtOnce: number;
  /** Those that were answered with 200. */
  taken(): Received[];
}

const SEND = '/_matrix/federation/v1/send/';

/** Lets a scripted server take transactions. */
export const takeTransactions = (peer: ScriptedPeer): Transactions => {
  const all: Received[] = [];
  const waiting: (() => void)[] = [];
  let status: number | undefined = 200;
  let [underWay, mostAtOnce] = [0, 0];
  peer.on(SEND, (request, response) => {
    underWay += 1;
    mostAtOnce = Math.max(mostAtOnce, underWay);
    response.on('close', () => (underWay -= 1));
    const respond = async (): Promise<void> => {
      const body = JSON.parse(await text(request)) as Json;
      assert.equal(request.method, 'PUT');
      const { pdus, edus = [] } = body as unknown as Pick<Received, 'pdus'> & Partial<Received>;
      const received: Received = { id: decodeURIComponent((request.url ?? '').slice(SEND.length)), pdus, edus, status: undefined };
      all.push(received);
      const answer = (): void => {
        if (response.destroyed) return;
        received.status = status;
        if (status === 200) json({ pdus: {} })(request, response);
        else json({ errcode: 'M_UNKNOWN', error: 'Not now' }, status)(request, response);
      };
      if (status === undefined) waiting.push(answer);
      else answer();
    };
    respond().catch(() => response.destroy());
  });
  return {
    all,
    answer: (wanted) => {
      status = wanted;
      if (wanted !== undefined) for (const answer of waiting.splice(0)) answer();
    },
    get mostAtOnce() {
      return mostAtOnce;
    },
    taken: () => all.filter((each) => each.status === 200),
  };
};

/** The texts of the messages that were taken, in order. */
export const textsIn = (received: readonly Received[]): unknown[] =>
  received.flatMap(({ pdus }) => pdus.filter(({ type }) => type === 'm.room.message').map(({ content }) => content['body']));

/** Waits until something holds. */
export const until = async (what: string, holds: () => boolean, limitMs = 30_000): Promise<void> => {
  for (let waitedMs = 0; !holds(); waitedMs += 20) {
    assert.ok(waitedMs < limitMs, `waited in vain: ${what}`);
    await sleep(20);
  }
};
