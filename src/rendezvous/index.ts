import type { AccountAccess } from '#src/accounts/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import { anyone, type Route } from '#src/platform/http/route.ts';
import type { Random } from '#src/platform/random.ts';
import { msc4108Delegation, msc4108Routes } from '#src/rendezvous/msc4108.ts';
import { msc4388Routes } from '#src/rendezvous/msc4388.ts';
import { createSessions } from '#src/rendezvous/sessions.ts';

/** As long as the proposals want a session to live at least. */
const MSC4108_TTL_MS = 60_000;
const MSC4388_TTL_MS = 120_000;

/** Where a new device and one that is signed in meet, for signing in by QR code (MSC4108 and MSC4388), as far as the configuration wants it. */
export const rendezvousRoutes = ({
  access,
  clock,
  random,
  config,
}: {
  access: Pick<AccountAccess, 'user'>;
  clock: Clock;
  random: Random;
  config: Pick<Config, 'experimental_features' | 'public_baseurl'>;
}): Route[] => {
  const { msc4108_delegation_endpoint: delegation, msc4388_mode: mode } = config.experimental_features;
  const routes: Route[] = [];
  if (config.experimental_features.msc4108_enabled) {
    const sessions = createSessions({ clock, random, ttlMs: MSC4108_TTL_MS, tagBy: 'text' });
    routes.push(...msc4108Routes({ sessions, baseUrl: config.public_baseurl }));
  }
  if (delegation !== undefined) routes.push(msc4108Delegation(delegation));
  if (mode !== 'off') {
    const sessions = createSessions({ clock, random, ttlMs: MSC4388_TTL_MS, tagBy: 'turn' });
    routes.push(...msc4388Routes({ sessions, clock, creator: mode === 'open' ? anyone : access.user }));
  }
  return routes;
};
