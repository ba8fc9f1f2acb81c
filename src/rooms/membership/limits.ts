import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import { createRateLimiter } from '#src/platform/http/rate-limits.ts';
import type { RateLimiter } from '#src/platform/http/rate-limits.ts';

/** How often people may join and invite. */
export interface MembershipLimits {
  /** Throws `limitExceeded`. */
  join(userId: string, roomId: string): void;
  /** Throws `limitExceeded`. */
  invite(userId: string, roomId: string, target: string): void;
  /** Whether so many invites at once, with a new room, are in order. */
  allowsInvites(userId: string, count: number): boolean;
}

export const createMembershipLimits = (
  clock: Clock,
  config: Pick<Config, 'rc_joins' | 'rc_joins_per_room' | 'rc_invites'>,
): MembershipLimits => {
  const limiter = (key: string, settings: Config['rc_joins_per_room']): RateLimiter => createRateLimiter({ clock, key, settings });
  const joins = limiter('rc_joins.local', config.rc_joins.local);
  const joinsPerRoom = limiter('rc_joins_per_room', config.rc_joins_per_room);
  const invitesPerRoom = limiter('rc_invites.per_room', config.rc_invites.per_room);
  const invitesPerUser = limiter('rc_invites.per_user', config.rc_invites.per_user);
  const invitesPerIssuer = limiter('rc_invites.per_issuer', config.rc_invites.per_issuer);

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
    invite: (userId, roomId, target) =>
      takeAll([
        [invitesPerRoom, roomId],
        [invitesPerUser, target],
        [invitesPerIssuer, userId],
      ]),
    allowsInvites: (userId, count) => invitesPerRoom.tryTake(userId, { cost: count, count: false }).allowed,
  };
};
