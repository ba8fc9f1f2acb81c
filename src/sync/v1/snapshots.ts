import type { Filters } from '#src/filters/index.ts';
import type { RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { Presenter, ReadAccess, Reading, ReadHistory, RoomReader } from '#src/rooms/history/index.ts';
import type { Audience } from '#src/sync/engine/audience.ts';
import type { Engine, OutsidePlan, RoomView } from '#src/sync/engine/index.ts';
import { type Extras, placesNow, readExtras } from '#src/sync/extras.ts';
import type { SmallEvent, SyncPorts } from '#src/sync/ports.ts';
import { formatToken, type SyncToken } from '#src/sync/token.ts';
import type { Page } from '#src/sync/v1/request.ts';
import { inRoomText, presenceText, sourcesOf } from '#src/sync/v1/small-events.ts';

export interface Snapshots {
  /** All rooms of a reader, as JSON text: those that the reader is in or invited to, and with `archived` those that the reader has left. */
  ofAllRooms(reader: RoomReader, page: Page, archived: boolean): Promise<string>;
  /** One room, as JSON text: as it is, or as it was when the reader left. Throws `forbidden` for one that the reader may not read. */
  ofRoom(reader: RoomReader, roomId: string, page: Page): Promise<string>;
}

export interface SnapshotTools {
  readonly audience: Pick<Audience, 'isBehind' | 'caughtUp' | 'upTo'>;
  readonly engine: Pick<Engine, 'read'>;
  readonly graph: Pick<RoomGraph, 'events' | 'states'>;
  readonly history: { readonly access: ReadAccess; readonly reading: ReadHistory };
  readonly presenter: Presenter;
  readonly filters: Pick<Filters, 'parse'>;
  readonly ports: SyncPorts;
  /** Those of some rooms that are on the server's list. */
  readonly published: (roomNums: readonly number[]) => Promise<ReadonlySet<number>>;
}

const RECEIPT = 'm.receipt';
const THE_BEGINNING = 't0-0';

const array = (texts: readonly string[]): string => `[${texts.join(',')}]`;
const dataTexts = (events: readonly SmallEvent[] | undefined): string => JSON.stringify(events ?? []);
const object = (fields: Readonly<Record<string, string | undefined>>): string =>
  `{${Object.entries(fields)
    .flatMap(([name, text]) => (text === undefined ? [] : [`${JSON.stringify(name)}:${text}`]))
    .join(',')}}`;

const messages = (chunk: readonly string[], start: string, end: string): string =>
  object({ chunk: array(chunk), start: JSON.stringify(start), end: JSON.stringify(end) });

const receiptsIn = ({ ephemeral }: Pick<Extras, 'ephemeral'>, rooms: ReadonlyMap<number, RoomInfo>): string[] =>
  [...ephemeral].flatMap(([num, events]) =>
    events.filter(({ type }) => type === RECEIPT).map((event) => inRoomText(event, rooms.get(num)?.roomId ?? '')),
  );

const membershipOf = ({ plan }: RoomView): string =>
  plan.kind === 'join' ? 'join' : plan.left?.pdu.content.membership === 'ban' ? 'ban' : 'leave';

/** What somebody is shown who begins: the same reading as a first `/sync`, in the words of the first version of the API. */
export const createSnapshots = (tools: SnapshotTools): Snapshots => {
  const { audience, engine, graph, history, presenter, filters, published } = tools;
  const ports = sourcesOf(tools.ports);

  const roomTexts = async (
    reader: RoomReader,
    { format }: Page,
    views: readonly RoomView[],
    extras: Extras,
    visibilityOf: (room: RoomInfo) => string,
  ): Promise<string[]> => {
    const options = { withRoomId: true, format };
    const texts: string[] = [];
    for (const view of views) {
      const { plan, timeline, state } = view;
      const tokenAt = (events: number): string => formatToken({ events, places: extras.places });
      const shown = state.map((event) => ({ room: plan.room, event, membership: undefined }));
      texts.push(
        object({
          room_id: JSON.stringify(plan.room.roomId),
          membership: JSON.stringify(membershipOf(view)),
          visibility: visibilityOf(plan.room),
          messages: messages(await presenter.present(timeline.shown, reader, options), tokenAt(timeline.before), tokenAt(plan.upTo)),
          state: array(await presenter.present(shown, reader, options)),
          account_data: dataTexts(extras.roomAccountData.get(plan.room.num)),
        }),
      );
    }
    return texts;
  };

  const inviteText = async (reader: RoomReader, { format }: Page, { room, event }: OutsidePlan, visibility: string): Promise<string> => {
    const [invite] = await presenter.present([{ room, event, membership: undefined }], reader, { withRoomId: true, format });
    return object({
      room_id: JSON.stringify(room.roomId),
      membership: '"invite"',
      visibility,
      inviter: JSON.stringify(event.pdu.sender),
      invite,
    });
  };

  /** Presence of those who are in the room. */
  const presenceIn = async (reader: RoomReader, { room, root }: Reading): Promise<string[]> => {
    const found: SmallEvent[] = [];
    for (const source of ports.sources)
      found.push(...((await source.presence?.(reader, { after: undefined, upTo: source.now().position }, [])) ?? []));
    const isIn = async ({ sender = '' }: SmallEvent): Promise<boolean> => {
      const num = await graph.states.get(room.num, root, 'm.room.member', sender);
      return num !== undefined && (await graph.events.byNum(num))?.pdu.content.membership === 'join';
    };
    const texts: string[] = [];
    for (const event of found) if (await isIn(event)) texts.push(presenceText(event));
    return texts;
  };

  /** What the streams beside the events have for a room. */
  const besideRoom = async (reader: RoomReader, { room, by }: Reading): Promise<{ receipts: string[]; accountData: SmallEvent[] }> => {
    const accountData: SmallEvent[] = [];
    const receipts: string[] = [];
    for (const source of ports.sources) {
      const whole = { after: undefined, upTo: source.now().position };
      accountData.push(...((await source.roomAccountData?.(reader, [room.num], whole))?.get(room.num) ?? []));
      const ephemeral = by === 'departed' ? undefined : await source.ephemeral?.(reader, [room.num], whole);
      if (ephemeral !== undefined) receipts.push(...receiptsIn({ ephemeral }, new Map([[room.num, room]])));
    }
    return { receipts, accountData };
  };

  return {
    ofAllRooms: async (reader, page, archived) => {
      const places = placesNow(ports, undefined);
      const filter = await filters.parse(JSON.stringify({ room: { include_leave: archived, timeline: { limit: page.limit } } }));
      const request = { reader, since: undefined, fullState: false, filter };
      const reading = await engine.read({ ...request, stateAfter: true });
      const extras = await readExtras(ports, request, reading, places);
      const onList = await published([...reading.rooms.map(({ plan }) => plan.room.num), ...reading.invited.map(({ room }) => room.num)]);
      const visibilityOf = ({ num }: RoomInfo): string => (onList.has(num) ? '"public"' : '"private"');
      const rooms = await roomTexts(reader, page, reading.rooms, extras, visibilityOf);
      for (const plan of reading.invited) rooms.push(await inviteText(reader, page, plan, visibilityOf(plan.room)));
      return object({
        rooms: array(rooms),
        presence: array(extras.presence.map(presenceText)),
        account_data: dataTexts(extras.accountData),
        receipts: array(receiptsIn(extras, reading.joined)),
        end: JSON.stringify(formatToken({ events: reading.upTo, places: extras.places })),
      });
    },
    ofRoom: async (reader, roomId, { limit, format }) => {
      const reading = await history.access.reading(reader, roomId);
      const { by, left } = reading;
      // Where the streams stand is looked at first: the state that is read afterwards may be later, but never earlier.
      const places = placesNow(ports, undefined);
      while (audience.isBehind()) await audience.caughtUp();
      const end: SyncToken = by === 'departed' ? { events: left?.position ?? 0, places: {} } : { events: audience.upTo(), places };
      const from = by === 'departed' ? undefined : { streamPosition: end.events };
      const page = await history.reading.messages(reader, roomId, {
        from,
        fromText: undefined,
        to: undefined,
        direction: 'b',
        limit,
        filter: undefined,
        format,
      });
      const { receipts, accountData } = await besideRoom(reader, reading);
      const membership = by === 'member' ? 'join' : left?.pdu.content.membership;
      return object({
        room_id: JSON.stringify(roomId),
        membership: typeof membership === 'string' ? JSON.stringify(membership) : undefined,
        messages: messages(page.chunk.toReversed(), page.end ?? THE_BEGINNING, formatToken(end)),
        state: array(await history.reading.state(reader, roomId)),
        presence: array(by === 'departed' ? [] : await presenceIn(reader, reading)),
        receipts: array(receipts),
        account_data: dataTexts(accountData),
      });
    },
  };
};
