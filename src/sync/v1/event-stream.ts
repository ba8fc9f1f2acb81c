import type { Filters, SyncFilter } from '#src/filters/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Notifier } from '#src/platform/streams/wait.ts';
import { forbidden } from '#src/protocol/errors.ts';
import type { RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { Presenter, RoomReader, Visibility } from '#src/rooms/history/index.ts';
import { MAX_WAIT_MS, peekingKey, waitingKey } from '#src/sync/engine/audience.ts';
import type { Audience } from '#src/sync/engine/audience.ts';
import type { Engine } from '#src/sync/engine/index.ts';
import { placesNow, readExtras } from '#src/sync/extras.ts';
import type { SyncPorts } from '#src/sync/ports.ts';
import { formatToken, type SyncToken } from '#src/sync/token.ts';
import type { Page } from '#src/sync/v1/request.ts';
import { inRoomText, presenceText, sourcesOf } from '#src/sync/v1/small-events.ts';

export interface StreamRequest extends Page {
  readonly reader: RoomReader;
  /** Only this room, which the reader is in or all the world may read. */
  readonly roomId: string | undefined;
  readonly timeoutMs: number;
}

/** The event stream of the first version of the API. */
export interface EventStream {
  /**
   * What happened after `from`, oldest first, as JSON text: at once where there is something, else once there is or the time is up. Throws `forbidden` for a room
   * that the reader may not look into.
   */
  read(request: StreamRequest, signal: AbortSignal): Promise<string>;
}

export interface EventStreamTools {
  readonly clock: Clock;
  readonly notifier: Pick<Notifier, 'register'>;
  readonly audience: Pick<Audience, 'isBehind' | 'caughtUp' | 'upTo'>;
  readonly engine: Pick<Engine, 'forwards'>;
  readonly graph: Pick<RoomGraph, 'room' | 'memberships' | 'currentRoot'>;
  readonly visibility: Pick<Visibility, 'settingAt'>;
  readonly presenter: Presenter;
  readonly filters: Pick<Filters, 'parse'>;
  readonly ports: SyncPorts;
}

/** What is read for whom. */
interface View {
  readonly reader: RoomReader;
  readonly filter: SyncFilter;
  readonly peekInto: RoomInfo | undefined;
  readonly page: Page;
}

interface Chunk {
  readonly texts: readonly string[];
  readonly end: SyncToken;
  readonly isCut: boolean;
}

const DEFAULT_LIMIT = 10;
/** Whoever waits waits for so long at least. */
const MIN_WAIT_MS = 500;

export const createEventStream = (tools: EventStreamTools): EventStream => {
  const { clock, notifier, audience, engine, graph, visibility, presenter, filters } = tools;
  const ports = sourcesOf(tools.ports);

  const now = async (): Promise<SyncToken> => {
    const places = placesNow(ports, undefined);
    while (audience.isBehind()) await audience.caughtUp();
    return { events: audience.upTo(), places };
  };

  /** The room if it is to be looked into from outside. */
  const peekedRoom = async (reader: RoomReader, roomId: string | undefined): Promise<RoomInfo | undefined> => {
    if (roomId === undefined) return undefined;
    const room = await graph.room(roomId);
    if (room !== undefined && (await graph.memberships.in(room.num, reader.userNum))?.membership === 'join') return undefined;
    const isOpen = room !== undefined && (await visibility.settingAt(room, await graph.currentRoot(room))) === 'world_readable';
    if (!isOpen) throw forbidden('Non-joined access not allowed');
    return room;
  };

  const viewOf = async ({ reader, roomId, ...page }: StreamRequest): Promise<View> => {
    const filter = await filters.parse('{}');
    return {
      reader,
      filter: roomId === undefined ? filter : { ...filter, rooms: new Set([roomId]) },
      peekInto: await peekedRoom(reader, roomId),
      page: { ...page, limit: page.limit === 0 ? DEFAULT_LIMIT : page.limit },
    };
  };

  const readOnce = async ({ reader, filter, peekInto, page }: View, since: SyncToken): Promise<Chunk> => {
    const places = placesNow(ports, since);
    const reading = await engine.forwards({ reader, since: since.events, filter, peekInto, limit: page.limit });
    const rooms = reading.rooms.map((plan) => ({ plan }));
    const extras = await readExtras(ports, { reader, since, filter, fullState: false }, { ...reading, rooms }, places);
    const roomIds = new Map([...reading.joined.values(), ...reading.rooms.map(({ room }) => room)].map(({ num, roomId }) => [num, roomId]));
    const inRooms = [...extras.ephemeral, ...extras.roomAccountData].flatMap(([num, events]) =>
      events.map((event) => inRoomText(event, roomIds.get(num) ?? '')),
    );
    return {
      texts: [
        ...(await presenter.present(reading.shown, reader, { withRoomId: true, format: page.format })),
        ...inRooms,
        ...extras.presence.map(presenceText),
        ...extras.accountData.map((event) => JSON.stringify(event)),
      ],
      end: { events: reading.upTo, places: extras.places },
      isCut: reading.isCut,
    };
  };

  return {
    read: async (request, signal) => {
      const view = await viewOf(request);
      const start = request.from ?? (await now());
      const key = view.peekInto === undefined ? waitingKey(request.reader.userNum) : peekingKey(view.peekInto.num);
      const answer = (texts: readonly string[], end: SyncToken): string =>
        `{"chunk":[${texts.join(',')}],"start":"${formatToken(start)}","end":"${formatToken(end)}"}`;
      const waitMs = request.timeoutMs === 0 ? 0 : Math.max(MIN_WAIT_MS, request.timeoutMs);
      const deadline = clock.monotonic() + waitMs;
      for (let at = start; ;) {
        // Registered before looking, so that nothing that happens meanwhile is missed.
        const waiter = notifier.register([key]);
        const { texts, end, isCut } = await readOnce(view, at).catch((error: unknown) => {
          waiter.cancel();
          throw error;
        });
        const remaining = deadline - clock.monotonic();
        if (texts.length > 0 || isCut || remaining <= 0) waiter.cancel();
        if (texts.length > 0 || remaining <= 0) return answer(texts, end);
        at = end;
        // All that was looked at was hidden from the reader, and there is more.
        if (isCut) continue;
        const how = await waiter.wait({ timeoutMs: Math.min(remaining, MAX_WAIT_MS), signal });
        if (how === 'aborted') return answer([], at);
      }
    },
  };
};
