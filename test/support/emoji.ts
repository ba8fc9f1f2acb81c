import assert from 'node:assert/strict';
import {
  VerificationPhase,
  VerifierEvent,
  type ShowSasCallbacks,
  type VerificationRequest,
  type Verifier,
} from 'matrix-js-sdk/lib/crypto-api/index.js';
import { eventually, type EncryptedDevice } from './encrypted-device.ts';

const shown = (verifier: Verifier): Promise<ShowSasCallbacks> => eventually('the emoji', () => verifier.getShowSasCallbacks() ?? undefined);

const reached = (request: VerificationRequest, phase: VerificationPhase): Promise<true> =>
  eventually(`phase ${String(phase)}`, () => (request.phase === phase ? true : undefined));

/** Two devices verify each other by comparing emoji; the second is asked. Client-server API, section Short Authentication String. */
export const verifyByEmoji = async (request: VerificationRequest, asked: EncryptedDevice): Promise<void> => {
  const answering = await eventually('the request', () =>
    asked.requests.find(({ transactionId }) => transactionId === request.transactionId),
  );
  await answering.accept();
  await reached(request, VerificationPhase.Ready);
  const mine = await request.startVerification('m.sas.v1');
  await reached(answering, VerificationPhase.Started);
  const { verifier: theirs } = answering;
  assert.ok(theirs);
  const cancelled = Promise.withResolvers<never>();
  for (const verifier of [mine, theirs]) verifier.on(VerifierEvent.Cancel, (reason) => cancelled.reject(reason as Error));
  const verified = Promise.all([mine.verify(), theirs.verify()]);
  const compare = async (): Promise<void> => {
    const [left, right] = await Promise.all([shown(mine), shown(theirs)]);
    assert.equal(left.sas.emoji?.length, 7);
    assert.deepEqual(left.sas.emoji, right.sas.emoji);
    await Promise.all([left.confirm(), right.confirm()]);
  };
  await Promise.race([Promise.all([verified, compare()]), cancelled.promise]);
  await Promise.all([reached(request, VerificationPhase.Done), reached(answering, VerificationPhase.Done)]);
};
