import { forbidden, guestAccessForbidden, missingToken } from '#src/protocol/errors.ts';
import { optionalAccessToken } from '#src/platform/http/access-token.ts';
import type { Access, IncomingRequest } from '#src/platform/http/route.ts';
import type { Requesters } from '#src/accounts/requesters.ts';
import type { Requester } from '#src/accounts/types.ts';

/** Who may call a route, as routes name it. */
export interface AccountAccess {
  /** Registered users; guests are refused with `M_GUEST_ACCESS_FORBIDDEN`. */
  readonly user: Access<Requester>;
  /** Users and guests. */
  readonly guest: Access<Requester>;
  /** Server administrators. */
  readonly admin: Access<Requester>;
  /** Anyone; a token that is given has to be good. */
  readonly optional: Access<Requester | undefined>;
}

/** `seen` is told of every request that a known caller makes. */
export const createAccess = (requesters: Requesters, seen: (requester: Requester, request: IncomingRequest) => void): AccountAccess => {
  const optional = async (request: IncomingRequest): Promise<Requester | undefined> => {
    const token = optionalAccessToken(request);
    if (token === undefined || token === '') return undefined;
    const requester = await requesters.byToken(token);
    seen(requester, request);
    return requester;
  };
  const guest = async (request: IncomingRequest): Promise<Requester> => {
    const requester = await optional(request);
    if (requester === undefined) throw missingToken('Missing access token');
    return requester;
  };
  const user = async (request: IncomingRequest): Promise<Requester> => {
    const requester = await guest(request);
    if (requester.isGuest) throw guestAccessForbidden('Guest access not allowed');
    return requester;
  };
  const admin = async (request: IncomingRequest): Promise<Requester> => {
    const requester = await user(request);
    if (!requester.isAdmin) throw forbidden('You are not a server admin');
    return requester;
  };
  return { user: { identify: user }, guest: { identify: guest }, admin: { identify: admin }, optional: { identify: optional } };
};
