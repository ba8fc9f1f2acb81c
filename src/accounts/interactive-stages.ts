import { invalidParam, missingParam, unauthorized } from '#src/protocol/errors.ts';
import type { Transaction } from '#src/platform/database/types.ts';
import type { InteractiveData, InteractiveSession } from '#src/accounts/interactive-sessions.ts';
import type { RegistrationTokens } from '#src/accounts/registration-tokens.ts';
import type { User } from '#src/accounts/types.ts';

type Json = Readonly<Record<string, unknown>>;

/** Notes a stage as passed, in the transaction that stores this: answers its result and what to remember, or throws why not. */
export type Pass = (tx: Transaction, session: InteractiveSession) => Promise<{ result: unknown; data?: InteractiveData }>;

/** Judges what the client sent for one stage, as far as that needs no transaction; throws why it is not enough. */
export type Stage = (auth: Json) => Promise<Pass>;

const dummy: Stage = () => Promise.resolve(() => Promise.resolve({ result: true }));

const registrationToken =
  (tokens: RegistrationTokens): Stage =>
  async ({ token }) => {
    if (token === undefined) throw missingParam('Missing registration token');
    if (typeof token !== 'string') throw invalidParam('Registration token must be a string');
    return async (tx, { data }) => {
      if (data.registrationToken !== undefined) {
        if (data.registrationToken !== token) throw invalidParam('Registration token has changed');
        return { result: token };
      }
      if (!(await tokens.reserve(tx, token))) throw unauthorized('Invalid registration token');
      return { result: token, data: { registrationToken: token } };
    };
  };

/** The result is the user whose password it is: whoever asks compares that with the one who makes the request. */
const password =
  (checkPassword: (auth: Json) => Promise<User>): Stage =>
  async (auth) => {
    const { userId } = await checkPassword(auth);
    return () => Promise.resolve({ result: userId });
  };

/** The stages that this server knows, by their types. */
export const interactiveStages = (dependencies: {
  registrationTokens: RegistrationTokens;
  /** Answers whose password it is, or throws `M_FORBIDDEN`. */
  checkPassword: (auth: Json) => Promise<User>;
}): ReadonlyMap<string, Stage> =>
  new Map([
    ['m.login.dummy', dummy],
    ['m.login.registration_token', registrationToken(dependencies.registrationTokens)],
    ['m.login.password', password(dependencies.checkPassword)],
  ]);
