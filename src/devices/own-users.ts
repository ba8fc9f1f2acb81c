import type { Strings } from '#src/platform/database/strings.ts';
import { domainOf, isUserId } from '#src/protocol/identifiers.ts';

/** Of users that a request names, those who are here, and the others. */
export interface SortedUsers {
  /** All of them, also those who never were here. */
  readonly ownIds: readonly string[];
  /** Numbers by user id; without those who never were here. */
  readonly own: ReadonlyMap<string, number>;
  /** Users of other servers. */
  readonly others: readonly string[];
}

/** Sorts users by whose they are; what is no user id is left out. */
export const createSortUsers =
  ({ strings, serverName }: { strings: Pick<Strings, 'numsOf'>; serverName: string }) =>
  async (userIds: readonly string[]): Promise<SortedUsers> => {
    const own = userIds.filter((userId) => domainOf(userId) === serverName);
    const others = userIds.filter((userId) => isUserId(userId) && domainOf(userId) !== serverName);
    return { ownIds: own, own: await strings.numsOf(own), others };
  };

/** `{"a":…}` of names and JSON texts. */
export const objectText = (members: Iterable<readonly [string, string]>): string =>
  `{${[...members].map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(',')}}`;
