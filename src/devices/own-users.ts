import type { Strings } from '#src/platform/database/strings.ts';
import { domainOf } from '#src/protocol/identifiers.ts';

/** Of users that a request names, those who are here, and why the servers of the others have nothing to say. */
export interface SortedUsers {
  /** All of them, also those who never were here. */
  readonly ownIds: readonly string[];
  /** Numbers by user id; without those who never were here. */
  readonly own: ReadonlyMap<string, number>;
  /** `failures` of the answer, as JSON text. */
  readonly failures: string;
}

/** Sorts users by whose they are; what is no user id is left out. */
export const createSortUsers =
  ({ strings, serverName }: { strings: Pick<Strings, 'numsOf'>; serverName: string }) =>
  async (userIds: readonly string[]): Promise<SortedUsers> => {
    const own = userIds.filter((userId) => domainOf(userId) === serverName);
    const others = new Set(userIds.flatMap((userId) => domainOf(userId) ?? []).filter((domain) => domain !== serverName));
    const failures = [...others].map((domain) => [domain, { status: 503, message: 'This server does not reach other servers' }]);
    return { ownIds: own, own: await strings.numsOf(own), failures: JSON.stringify(Object.fromEntries(failures)) };
  };

/** `{"a":…}` of names and JSON texts. */
export const objectText = (members: Iterable<readonly [string, string]>): string =>
  `{${[...members].map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(',')}}`;
