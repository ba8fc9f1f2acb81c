import { allows, type RoomEventFilter } from '#src/filters/index.ts';
import type { RoomInfo } from '#src/rooms/graph/index.ts';
import type { EngineReading, RoomPlan } from '#src/sync/engine/index.ts';
import type { LostTime, SmallEvent, Span, SyncPorts } from '#src/sync/ports.ts';
import { type Place, type SyncToken, TOKEN_PARTS, type TokenPart } from '#src/sync/token.ts';
import type { SyncRequest } from '#src/sync/v3/request.ts';

export type Places = Partial<Record<TokenPart, Place>>;

/** What the streams beside the events say. */
export interface Extras {
  readonly accountData: readonly SmallEvent[];
  readonly presence: readonly SmallEvent[];
  readonly roomAccountData: ReadonlyMap<number, readonly SmallEvent[]>;
  readonly ephemeral: ReadonlyMap<number, readonly SmallEvent[]>;
  /** JSON texts. */
  readonly toDevice: readonly string[];
  readonly deviceLists: { readonly changed: readonly string[]; readonly left: readonly string[] };
  readonly oneTimeKeys: Readonly<Record<string, number>>;
  readonly unusedFallbackTypes: readonly string[];
  /** Where the reader stands in each stream after this answer. */
  readonly places: Places;
}

/** Who asks, from where on and for what. */
export type ExtrasRequest = Pick<SyncRequest, 'reader' | 'since' | 'filter' | 'fullState'>;

const MAX_TO_DEVICE = 100;

/** Where the streams stand. Taken before the events are read, so that nothing speaks of an event that the answer does not have. */
export const placesNow = ({ sources, toDevice, deviceLists }: SyncPorts, since: SyncToken | undefined): Places => {
  const places: Places = { ...since?.places };
  for (const { part, now } of sources) places[part] = now();
  if (toDevice !== undefined) places.toDevice = toDevice.now();
  if (deviceLists !== undefined) places.deviceLists = deviceLists.now();
  return places;
};

/** Whether a reader remembers what the database knows, or comes from a time that an older copy of it has undone. */
export const judgeMemory = ({ lostTime }: Pick<SyncPorts, 'lostTime'>, since: SyncToken | undefined): ReturnType<LostTime['judge']> => {
  if (lostTime === undefined || since === undefined) return 'sound';
  const { toDevice, deviceLists } = since.places;
  return lostTime.judge({ events: since.events, to_device: toDevice?.position, device_lists: deviceLists?.position });
};

/**
 * What of a place from a time that is lost can be gone by: after `moveOn` streams go on beyond it; else the same positions have been given out again, and mean
 * nothing.
 */
export const rememberedOf = (since: SyncToken | undefined, memory: 'lost' | 'ahead'): SyncToken | undefined =>
  since === undefined || memory === 'lost' ? since : { ...since, places: {} };

/** The stretch that a stream has to tell; undefined when it has not moved. */
const spanOf = (part: TokenPart, places: Places, since: SyncToken | undefined): Span | undefined => {
  const now = places[part] as Place;
  const then = since?.places[part];
  // What lies beyond all that has happened was given out before an older copy of the database was put back.
  if (then === undefined || then.epoch !== now.epoch || then.position > now.position) return { after: undefined, upTo: now.position };
  return then.position < now.position ? { after: then.position, upTo: now.position } : undefined;
};

/** Whether any stream has moved since the token of which rooms have to be read to tell it: presence is told without, and moves all the time. */
export const haveMoved = (places: Places, since: SyncToken): boolean =>
  TOKEN_PARTS.some((part) => part !== 'presence' && places[part] !== undefined && spanOf(part, places, since) !== undefined);

const merge = (
  into: Map<number, readonly SmallEvent[]>,
  rooms: ReadonlyMap<number, RoomInfo>,
  found: ReadonlyMap<number, readonly SmallEvent[]>,
  filter: RoomEventFilter,
): void => {
  for (const [roomNum, events] of found) {
    const roomId = rooms.get(roomNum)?.roomId ?? '';
    const wanted = events.filter(({ type, content, sender = '' }) => allows(filter, { type, content, sender, roomId }));
    if (wanted.length > 0) into.set(roomNum, [...(into.get(roomNum) ?? []), ...wanted]);
  }
};

/** What the sources say. */
type Told = Pick<Extras, 'accountData' | 'presence' | 'roomAccountData' | 'ephemeral'>;

/** What of the events' reading decides about the extras. */
type ReadEvents = Pick<EngineReading, 'joined' | 'moves'> & { readonly rooms: readonly { readonly plan: RoomPlan }[] };

const NOTHING: Told = { accountData: [], presence: [], roomAccountData: new Map(), ephemeral: new Map() };

const readSources = async (sources: SyncPorts['sources'], request: ExtrasRequest, reading: ReadEvents, places: Places): Promise<Told> => {
  const { reader, since, filter, fullState } = request;
  const left = reading.rooms.filter(({ plan }) => plan.kind === 'leave').map(({ plan }) => plan.room);
  const rooms = new Map([...reading.joined, ...left.map((room) => [room.num, room] as const)]);
  const isNew = new Set(reading.rooms.filter(({ plan }) => plan.isFull).map(({ plan }) => plan.room.num));
  const known = [...rooms.keys()].filter((num) => !isNew.has(num));
  const { newlyJoined } = reading.moves;
  const accountData: SmallEvent[] = [];
  const presence: SmallEvent[] = [];
  const roomAccountData = new Map<number, readonly SmallEvent[]>();
  const ephemeral = new Map<number, readonly SmallEvent[]>();

  for (const source of sources) {
    const moved = spanOf(source.part, places, since);
    const whole: Span = { after: undefined, upTo: (places[source.part] as Place).position };
    const span = fullState ? whole : moved;
    if (span !== undefined) {
      accountData.push(...((await source.accountData?.(reader, span)) ?? []));
    }
    if (source.presence !== undefined && (span !== undefined || newlyJoined.length > 0)) {
      const { position: upTo } = places[source.part] as Place;
      presence.push(...(await source.presence(reader, span ?? { after: upTo, upTo }, newlyJoined)));
    }
    // Rooms that are new to the reader are told everything, the others what is new.
    const stretches: [readonly number[], Span | undefined][] = [
      [known, moved],
      [[...isNew], whole],
    ];
    for (const [roomNums, stretch] of stretches) {
      if (stretch === undefined || roomNums.length === 0) continue;
      if (source.roomAccountData !== undefined)
        merge(roomAccountData, rooms, await source.roomAccountData(reader, roomNums, stretch), filter.roomAccountData);
      const inside = source.ephemeral === undefined ? [] : roomNums.filter((num) => reading.joined.has(num));
      if (inside.length > 0) merge(ephemeral, rooms, (await source.ephemeral?.(reader, inside, stretch)) ?? new Map(), filter.ephemeral);
    }
  }

  return {
    accountData: accountData.filter(({ type, content }) => allows(filter.accountData, { type, content, sender: reader.userId })),
    presence: presence
      .filter(({ type, content, sender = '' }) => allows(filter.presence, { type, content, sender }))
      .slice(0, filter.presence.limit),
    roomAccountData,
    ephemeral,
  };
};

/** Reads what the other streams add to an answer whose events are `reading`. */
export const readExtras = async (ports: SyncPorts, request: ExtrasRequest, reading: ReadEvents, placesBefore: Places): Promise<Extras> => {
  const { reader, since, fullState } = request;
  const places = { ...placesBefore };
  const mayTell =
    fullState ||
    reading.rooms.some(({ plan }) => plan.isFull) ||
    ports.sources.some(({ part }) => spanOf(part, places, since) !== undefined);
  const told = mayTell ? await readSources(ports.sources, request, reading, places) : NOTHING;
  const toDevice: string[] = [];
  if (ports.toDevice !== undefined) {
    const { position: upTo, epoch } = places.toDevice as Place;
    const then = since?.places.toDevice?.position;
    // A token from ahead is from before an older database was put in place: nothing is known of what has arrived since then.
    const after = then !== undefined && then <= upTo ? then : undefined;
    const taken = await ports.toDevice.take(reader, { after, upTo }, MAX_TO_DEVICE);
    toDevice.push(...taken.events);
    places.toDevice = { epoch, position: taken.upTo };
  }
  const keys = await ports.deviceKeys?.remaining(reader);
  return {
    ...told,
    toDevice,
    deviceLists: await deviceListsOf(ports, request, reading, places),
    oneTimeKeys: keys?.oneTimeKeys ?? {},
    unusedFallbackTypes: keys?.unusedFallbackTypes ?? [],
    places,
  };
};

/** A first sync tells nothing: the client has to ask for everybody's devices anyway. */
const deviceListsOf = async (
  { deviceLists }: SyncPorts,
  { reader, since }: ExtrasRequest,
  { moves }: Pick<EngineReading, 'moves'>,
  places: Places,
): Promise<Extras['deviceLists']> => {
  if (deviceLists === undefined || since === undefined) return { changed: [], left: [] };
  const span = spanOf('deviceLists', places, since);
  if (since.places.deviceLists !== undefined) deviceLists.stands(reader, since.places.deviceLists.position);
  const hasMoved = moves.newlyJoined.length > 0 || moves.newlyLeft.length > 0 || moves.stayedIn.roomNums.length > 0;
  if (span === undefined && !hasMoved) return { changed: [], left: [] };
  const upTo = (places.deviceLists as Place).position;
  return deviceLists.changes(reader, span ?? { after: upTo, upTo }, moves);
};
