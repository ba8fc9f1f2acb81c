import type { RateLimiter, RateLimiters } from '#src/platform/http/rate-limits.ts';

/** How often people may join and invite. */
export interface MembershipLimits {
  /** Throws `limitExceeded`. */
  join(userId: string, roomId: string): void;
  /** The same for a room that this server has to come into first. */
  joinElsewhere(userId: string, roomId: string): void;
  /** Throws `limitExceeded`. */
  invite(userId: string, roomId: string, target: string): void;
  /** Whether so many invites at once, with a new room, are in order. */
  allowsInvites(userId: string, count: number): boolean;
}

export const createMembershipLimits = ({ of }: Pick<RateLimiters, 'of'>): MembershipLimits => {
  const joins = of('rc_joins.local');
  const remoteJoins = of('rc_joins.remote');
  const joinsPerRoom = of('rc_joins_per_room');
  const invitesPerRoom = of('rc_invites.per_room');
  const invitesPerUser = of('rc_invites.per_user');
  const invitesPerIssuer = of('rc_invites.per_issuer');

  /** Counts on none of the limiters unless all allow. */
  const takeAll = (takes: readonly (readonly [RateLimiter, string])[]): void => {
    for (const [each, who] of takes) each.check(who, { count: false });
    for (const [each, who] of takes) each.check(who);
  };

  return {
    join: (userId, roomId) =>
      takeAll([
        [joins, userId],
        [joinsPerRoom, roomId],
      ]),
    joinElsewhere: (userId, roomId) =>
      takeAll([
        [remoteJoins, userId],
        [joinsPerRoom, roomId],
      ]),
    invite: (userId, roomId, target) =>
      takeAll([
        [invitesPerRoom, roomId],
        [invitesPerUser, target],
        [invitesPerIssuer, userId],
      ]),
    allowsInvites: (userId, count) => invitesPerRoom.tryTake(userId, { cost: count, count: false }).allowed,
  };
};
