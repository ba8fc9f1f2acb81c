import { invalidUsername } from '#src/protocol/errors.ts';
import { byteLength, isNewLocalpart, makeUserId, MAX_ID_BYTES, parseUserId } from '#src/protocol/identifiers.ts';

/** What Python reads as an integer, and Synapse therefore keeps for guests and nameless users. */
const NUMERIC = /^[+-]?\d+(_\d+)*$/;

/**
 * Refuses a localpart that nobody may register with `M_INVALID_USERNAME`. The name has to be in lower case already.
 * `mayBeNumeric` is for guests who keep their number; `mayBeginWithUnderscore` for application services' and operators' names.
 */
export const checkLocalpart = (
  localpart: string,
  serverName: string,
  allow: { mayBeNumeric: boolean; mayBeginWithUnderscore: boolean },
): void => {
  if (localpart === '') throw invalidUsername('User ID cannot be empty');
  if (!isNewLocalpart(localpart)) throw invalidUsername("User ID can only contain characters a-z, 0-9, or '=_-./+'");
  if (localpart.startsWith('_') && !allow.mayBeginWithUnderscore) throw invalidUsername('User ID may not begin with _');
  if (byteLength(makeUserId(localpart, serverName)) > MAX_ID_BYTES) {
    throw invalidUsername(`User ID may not be longer than ${String(MAX_ID_BYTES)} characters`);
  }
  if (NUMERIC.test(localpart) && !allow.mayBeNumeric) throw invalidUsername('Numeric user IDs are reserved for guest users.');
};

/** The localpart of what was given as a user: a localpart, or a whole id of this server; undefined for another server's. */
export const localpartOf = (user: string, serverName: string): string | undefined => {
  if (!user.startsWith('@')) return user;
  const parsed = parseUserId(user);
  return parsed?.serverName === serverName ? parsed.localpart : undefined;
};
