import type { AccountAccess } from '#src/accounts/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Route } from '#src/platform/http/route.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { Metrics } from '#src/platform/metrics/index.ts';
import type { HttpClient } from '#src/platform/network/index.ts';
import type { Random } from '#src/platform/random.ts';
import type { Followers } from '#src/platform/streams/followers.ts';
import { EVENTS_STREAM, type RoomGraph } from '#src/rooms/graph/index.ts';
import type { UnreadCounts } from '#src/push/counts.ts';
import type { Ignored } from '#src/push/ignored.ts';
import type { ReadMarks } from '#src/push/ports.ts';
import type { PushRules } from '#src/push/rules.ts';
import { createBadges } from '#src/push/pushers/badges.ts';
import { createEvaluating } from '#src/push/pushers/evaluating.ts';
import { createNotify } from '#src/push/pushers/gateway.ts';
import { createPayloads } from '#src/push/pushers/payload.ts';
import { pusherRoutes } from '#src/push/pushers/routes.ts';
import { createSending } from '#src/push/pushers/sending.ts';
import { createPushers, type Pushers } from '#src/push/pushers/service.ts';
import { allPending } from '#src/push/pushers/store.ts';

/** Notifications by push gateways (client-server API, Push Notifications; push gateway API). */
export interface PusherPart {
  readonly routes: readonly Route[];
  readonly pushers: Pushers;
  /** Follows the events from now on. */
  follow(followers: Followers): Promise<void>;
  /** A user has read something. */
  hasRead(userNum: number): void;
  /** Ends what is being sent; it is sent again after the next start. */
  stop(): Promise<void>;
}

export interface PusherTools {
  readonly database: Database;
  readonly strings: Strings;
  readonly clock: Clock;
  readonly random: Random;
  readonly graph: RoomGraph;
  readonly access: Pick<AccountAccess, 'user'>;
  readonly rules: PushRules;
  readonly ignored: Ignored;
  readonly unreadCounts: UnreadCounts;
  readonly readMarks: ReadMarks;
  /** Goes out to what users name. */
  readonly http: HttpClient;
  readonly metrics: Metrics;
  readonly config: Pick<Config, 'server_name' | 'push' | 'experimental_features' | 'start_pushers'>;
  readonly log: Logger;
}

const BATCH = 100;

export const createPusherPart = async (tools: PusherTools): Promise<PusherPart> => {
  const { database, graph, config, metrics, log } = tools;
  const pushers = createPushers(tools);
  const evaluating = await createEvaluating({ ...tools, serverName: config.server_name });
  const badges = createBadges({ ...tools, countsRooms: config.push.group_unread_count_by_room });
  const count = (outcome: string) =>
    metrics
      .counter({
        name: `synapse_http_httppusher_http_pushes_${outcome}_total`,
        help: `Notifications to push gateways that were ${outcome}`,
      })
      .with();
  const counters = { taken: count('processed'), failed: count('failed') };
  const sending = createSending({
    ...tools,
    badges,
    payloads: createPayloads({ ...tools, includesContent: config.push.include_content }),
    notify: createNotify({ http: tools.http, log }),
    jitterMs: config.push.jitter_delay,
    mayDisableBadge: config.experimental_features.msc4076_enabled,
    sent: (outcome) => counters[outcome].inc(),
  });
  const isOn = config.push.enabled && config.start_pushers;
  pushers.onChanged((userNum) => {
    evaluating.changed(userNum).catch((error: unknown) => log.error({ err: error }, 'A new pusher could not be noticed'));
  });

  const handle = async (from: number, to: number): Promise<void> => {
    for (const event of await graph.timeline.between(from, to, to - from)) {
      const room = (await graph.rooms([event.roomNum])).get(event.roomNum);
      if (room === undefined || event.position === undefined) continue;
      for (const { userNum, actions } of await evaluating.notified(room, event)) {
        const waiting = { position: event.position, eventNum: event.num, roomNum: event.roomNum, actions };
        for (const pusher of await pushers.list(userNum)) {
          // After a crash the last events are gone through again.
          if (pusher.enabled === 1 && pusher.last_position < event.position) sending.add(pusher, waiting);
        }
      }
    }
  };

  const updateBadges = async (userNum: number): Promise<void> => {
    for (const pusher of await pushers.list(userNum)) await sending.updateBadge(pusher);
  };

  return {
    routes: pusherRoutes({ access: tools.access, pushers, canSwitch: config.experimental_features.msc3881_enabled }),
    pushers,
    follow: async (followers) => {
      if (!isOn) return;
      sending.restore(await database.read('pushes that wait', allPending));
      await followers.follow({
        name: 'pushers',
        stream: EVENTS_STREAM,
        start: 'now',
        batch: BATCH,
        handle: ({ from, to }) => handle(from.min, to.min),
        settled: async (position) => {
          const first = await sending.settle();
          return first === undefined ? position : { min: Math.min(position.min, first - 1), ahead: new Map() };
        },
      });
    },
    hasRead: (userNum) => {
      if (!isOn || !evaluating.hasPushers(userNum)) return;
      updateBadges(userNum).catch((error: unknown) => log.warn({ err: error }, 'An app could not be told how much is unread'));
    },
    stop: () => sending.stop(),
  };
};
