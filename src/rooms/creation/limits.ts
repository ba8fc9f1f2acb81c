import type { RateLimiters } from '#src/platform/http/rate-limits.ts';

/** Counts a new room for a user; throws `limitExceeded`, and then counts nothing of it as a room. */
export const createCreationLimits = (limiters: Pick<RateLimiters, 'of'>): ((userId: string) => void) => {
  const messageLimiter = limiters.of('rc_message');
  const creationLimiter = limiters.of('rc_room_creation');
  return (userId) => {
    creationLimiter.check(userId, { count: false });
    messageLimiter.check(userId);
    creationLimiter.check(userId);
  };
};
