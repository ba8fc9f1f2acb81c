import type { Accounts, User } from '#src/accounts/index.ts';
import { invalidParam, notFound, unknown } from '#src/protocol/errors.ts';
import { domainOf, isUserId } from '#src/protocol/identifiers.ts';

/** A user of this server; throws what is wrong with the id, or `M_NOT_FOUND`. */
export const createLocalUser =
  ({ accounts, serverName }: { accounts: Pick<Accounts, 'find'>; serverName: string }) =>
  async (userId: string): Promise<User> => {
    if (!isUserId(userId)) throw invalidParam('Expected a user id, such as @alice:example.com');
    if (domainOf(userId) !== serverName) throw unknown('Can only lookup local users');
    const user = await accounts.find(userId);
    if (user === undefined) throw notFound('Unknown user');
    return user;
  };
