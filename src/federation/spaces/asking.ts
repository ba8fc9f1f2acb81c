import { entryCache } from '#src/platform/cache/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '#src/protocol/json.ts';
import { childOf, type RemoteSpace, type RemoteSpaces } from '#src/spaces/index.ts';
import type { FederationClient } from '#src/federation/client.ts';
import { FederationError } from '#src/federation/faults.ts';

/** So many servers are asked about one room. */
const MAX_ASKED = 3;
const TIMEOUT_MS = 10_000;
const MAX_BYTES = 5 * 1024 * 1024;
const MAX_CHILDREN = 1000;
const KEPT_MS = 60_000;
const MAX_KEPT = 2000;

const TEXTS = ['name', 'topic', 'canonical_alias', 'avatar_url', 'join_rule', 'room_type', 'room_version', 'encryption'] as const;

const listOf = (value: JsonValue | undefined): readonly JsonValue[] => (Array.isArray(value) ? (value as readonly JsonValue[]) : []);

/** A room as another server describes it, with what is known of such descriptions alone. */
const entryIn = (value: JsonValue | undefined): (JsonObject & { readonly room_id: string }) | undefined => {
  if (!isJsonObject(value) || typeof value.room_id !== 'string') return undefined;
  const { num_joined_members: joined, allowed_room_ids: allowed } = value;
  const texts = TEXTS.flatMap((name) => (typeof value[name] === 'string' ? [[name, value[name]] as const] : []));
  const ids = listOf(allowed).filter((id) => typeof id === 'string');
  return {
    room_id: value.room_id,
    num_joined_members: typeof joined === 'number' && Number.isSafeInteger(joined) && joined >= 0 ? joined : 0,
    world_readable: value.world_readable === true,
    guest_can_join: value.guest_can_join === true,
    ...Object.fromEntries(texts),
    ...(ids.length > 0 && { allowed_room_ids: ids }),
  };
};

const read = (answer: JsonObject, roomId: string): RemoteSpace | undefined => {
  const room = entryIn(answer.room);
  if (room?.room_id !== roomId) return undefined;
  const children = listOf(isJsonObject(answer.room) ? answer.room.children_state : undefined).slice(0, MAX_CHILDREN);
  const known = listOf(answer.children)
    .slice(0, MAX_CHILDREN)
    .flatMap((each) => entryIn(each) ?? []);
  return {
    room,
    children: children.flatMap((each) => childOf(each) ?? []),
    known: new Map(known.map((each) => [each.room_id, each])),
    inaccessible: new Set(listOf(answer.inaccessible_children).filter((id) => typeof id === 'string')),
  };
};

/** Asks other servers about rooms that this one is not in; what they say is kept for a minute. */
export const createRemoteSpaces = ({
  client,
  isAllowed,
  serverName,
  clock,
  log,
}: {
  client: Pick<FederationClient, 'ask'>;
  isAllowed: (serverName: string) => boolean;
  serverName: string;
  clock: Pick<Clock, 'monotonic'>;
  log: Logger;
}): RemoteSpaces => {
  const kept = entryCache<string, { readonly space: RemoteSpace; readonly untilMs: number }>(MAX_KEPT);

  const askOne = async (server: string, roomId: string, suggestedOnly: boolean): Promise<RemoteSpace | undefined> => {
    try {
      const answer = await client.ask(server, {
        method: 'GET',
        path: `/_matrix/federation/v1/hierarchy/${encodeURIComponent(roomId)}`,
        query: { suggested_only: suggestedOnly ? 'true' : 'false' },
        timeoutMs: TIMEOUT_MS,
        maxBytes: MAX_BYTES,
      });
      return read(answer, roomId);
    } catch (error) {
      if (!(error instanceof FederationError) && !(error instanceof MatrixError)) throw error;
      log.info(`${server} does not tell of ${roomId}: ${error.message}`);
      return undefined;
    }
  };

  return {
    ask: async (roomId, via, suggestedOnly) => {
      const key = `${roomId} ${String(suggestedOnly)}`;
      const known = kept.get(key);
      if (known !== undefined && known.untilMs > clock.monotonic()) return known.space;
      const servers = [...new Set(via)].filter((name) => name !== serverName && isAllowed(name)).slice(0, MAX_ASKED);
      for (const server of servers) {
        const space = await askOne(server, roomId, suggestedOnly);
        if (space === undefined) continue;
        kept.set(key, { space, untilMs: clock.monotonic() + KEPT_MS });
        return space;
      }
      return undefined;
    },
  };
};
