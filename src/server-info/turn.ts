import { createHmac } from 'node:crypto';
import type { Config } from '#src/platform/config/index.ts';

type TurnConfig = Pick<Config, 'turn_uris' | 'turn_shared_secret' | 'turn_username' | 'turn_password' | 'turn_user_lifetime'>;

/**
 * A user's credentials for the TURN servers, or `{}` where there are none. With a shared secret they end by themselves: the user
 * name begins with the second of their end, and the password is its HMAC-SHA1, as TURN servers' REST authentication has it.
 */
export const turnCredentials = (config: TurnConfig, userId: string, nowMs: number): object => {
  const { turn_uris: uris, turn_shared_secret: secret, turn_user_lifetime: lifetimeMs } = config;
  if (uris.length === 0 || lifetimeMs === 0) return {};
  const ttl = Math.floor(lifetimeMs / 1000);
  if (secret) {
    const username = `${String(Math.floor((nowMs + lifetimeMs) / 1000))}:${userId}`;
    const password = createHmac('sha1', secret).update(username).digest('base64');
    return { username, password, ttl, uris };
  }
  if (config.turn_username && config.turn_password) {
    return { username: config.turn_username, password: config.turn_password, ttl, uris };
  }
  return {};
};
