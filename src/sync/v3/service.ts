import type { Clock } from '#src/platform/clock.ts';
import type { Notifier } from '#src/platform/streams/wait.ts';
import type { RoomReader } from '#src/rooms/history/index.ts';
import { MAX_WAIT_MS, waitingKey } from '#src/sync/engine/audience.ts';
import { formatToken } from '#src/sync/token.ts';
import type { SyncAnswer } from '#src/sync/v3/answer.ts';
import type { SyncRequest } from '#src/sync/v3/request.ts';
import type { Made, ResponseCache } from '#src/sync/v3/response-cache.ts';

export interface SyncService {
  /** The answer as JSON text: at once where the client asks so or there is something to tell, else once there is or the time is up. */
  sync(request: SyncRequest, signal: AbortSignal): Promise<string>;
}

export interface SyncServiceTools {
  readonly clock: Clock;
  readonly notifier: Pick<Notifier, 'register'>;
  readonly cache: ResponseCache;
  readonly answer: (request: SyncRequest) => Promise<SyncAnswer>;
}

const deviceOf = ({ userNum, deviceId }: RoomReader): string => `${String(userNum)}/${deviceId ?? ''}`;

export const createSyncService = ({ clock, notifier, cache, answer }: SyncServiceTools): SyncService => {
  /** The answer, if there is something to tell or the time is up. On its own, so that who waits keeps nothing of an empty one. */
  const tell = async (request: SyncRequest, deadline: number): Promise<Made | undefined> => {
    const { text, isEmpty } = await answer(request);
    return isEmpty && clock.monotonic() < deadline ? undefined : { text: text(), keep: !isEmpty };
  };

  const longPoll = async (request: SyncRequest, signal: AbortSignal): Promise<Made> => {
    const { reader, since, timeoutMs, fullState } = request;
    if (since === undefined) return { text: (await answer(request)).text(), keep: false };
    const deadline = clock.monotonic() + (fullState ? 0 : timeoutMs);
    for (;;) {
      // Registered before looking, so that nothing that happens meanwhile is missed.
      const waiter = notifier.register([waitingKey(reader.userNum)]);
      const made = await tell(request, deadline).catch((error: unknown) => {
        waiter.cancel();
        throw error;
      });
      if (made !== undefined) {
        waiter.cancel();
        return made;
      }
      const how = await waiter.wait({ timeoutMs: Math.min(deadline - clock.monotonic(), MAX_WAIT_MS), signal });
      // Nobody listens any more, or the server stops: whoever still reads this asks again from the same place.
      if (how === 'aborted') return { text: JSON.stringify({ next_batch: formatToken(since) }), keep: false };
    }
  };

  return {
    sync: async (request, signal) =>
      cache.share(deviceOf(request.reader), request.key, signal, async (shared) => longPoll(request, shared)),
  };
};
