import { forbidden, notFound } from '#src/protocol/errors.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import type { NodeId, RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import type { ReadAccess, Reading } from '#src/rooms/history/access.ts';
import { shownPdu } from '#src/rooms/history/client-event.ts';
import { type EventFilter, passes } from '#src/rooms/history/filter.ts';
import type { Presenter, RoomReader } from '#src/rooms/history/presenter.ts';
import type { HistoryToken } from '#src/rooms/history/tokens.ts';
import type { Visibility } from '#src/rooms/history/visibility.ts';

const MEMBER = 'm.room.member';

/** Which members are asked for. */
export interface MemberQuery {
  readonly at: HistoryToken | undefined;
  readonly membership: string | undefined;
  readonly notMembership: string | undefined;
}

export interface JoinedMember {
  readonly display_name: string | null;
  readonly avatar_url: string | null;
}

/** Reads rooms' states for those who may; departed readers read the state in which they left. Events are JSON texts. */
export interface StateReader {
  state(reader: RoomReader, roomId: string): Promise<readonly string[]>;
  /** One state event, or only its content. Throws `notFound` when there is none. */
  stateEvent(reader: RoomReader, roomId: string, type: string, stateKey: string, whole: boolean): Promise<string>;
  memberEvents(reader: RoomReader, roomId: string, query: MemberQuery): Promise<readonly string[]>;
  /** Who is in a room now, by user id; `null` where a profile says nothing, as clients know it. Throws `forbidden` unless the reader is. */
  joinedMembers(reader: RoomReader, roomId: string): Promise<Readonly<Record<string, JoinedMember>>>;
  /** The member events of some users in a state; those who have none are left out. */
  members(room: RoomInfo, root: NodeId, userIds: readonly string[]): Promise<RoomEvent[]>;
  /** A state as a filter wants it beside a timeline whose senders these are. */
  ofTimeline(room: RoomInfo, root: NodeId, senders: ReadonlySet<string>, filter: EventFilter | undefined): Promise<readonly RoomEvent[]>;
  present(room: RoomInfo, events: readonly RoomEvent[], reader: RoomReader): Promise<readonly string[]>;
}

export interface StateReaderTools {
  readonly graph: Pick<RoomGraph, 'events' | 'states' | 'stateEvents' | 'timeline'>;
  readonly access: ReadAccess;
  readonly visibility: Pick<Visibility, 'maySeeState'>;
  readonly presenter: Presenter;
}

export const createStateReader = ({ graph, access, visibility, presenter }: StateReaderTools): StateReader => {
  const present: StateReader['present'] = async (room, events, reader) =>
    presenter.present(
      events.map((event) => ({ room, event, membership: undefined })),
      reader,
      { withRoomId: true },
    );

  const members: StateReader['members'] = async (room, root, userIds) => {
    const nums = await Promise.all(userIds.map(async (userId) => graph.states.get(room.num, root, MEMBER, userId)));
    return graph.events.list(nums.filter((num) => num !== undefined));
  };

  /** A room begins with its creator's coming; at a place before that, who asks for the members means those. */
  const firstRoot = async (room: RoomInfo): Promise<NodeId | undefined> =>
    (await graph.timeline.forwards(room.num, { depth: 0, position: 0 }, 2)).at(-1)?.stateRoot;

  /** What the room's current state was at a place in history; where the room had forked, that of all its branches together. */
  const pastRoot = async (room: RoomInfo, token: HistoryToken): Promise<{ root: NodeId | undefined; position: number }> => {
    if ('streamPosition' in token) {
      const root = await graph.timeline.rootAt(room.num, token.streamPosition);
      return { root: root === '' ? await firstRoot(room) : root, position: token.streamPosition };
    }
    const [event] = await graph.timeline.backwards(room.num, token.point, 1);
    if (event?.position === undefined) return { root: await firstRoot(room), position: 0 };
    const root = event.position > 0 ? await graph.timeline.rootAt(room.num, event.position) : event.stateRoot;
    return { root, position: event.position };
  };

  /** The state at a place in history, but never a later one than the reader may read. */
  const rootAt = async (reader: RoomReader, { room, root: readable, left, by }: Reading, token: HistoryToken): Promise<NodeId> => {
    const { root = readable, position } = await pastRoot(room, token);
    if (left?.position !== undefined && position >= left.position) return readable;
    const isAllowed = root === readable || (await visibility.maySeeState(reader, room, root, { isIn: by !== 'peeking' }));
    if (!isAllowed) throw forbidden(`User ${reader.userId} not allowed to view events in room ${room.roomId} at this place`);
    return root;
  };

  return {
    members,
    present,
    ofTimeline: async (room, root, senders, filter) => {
      const events = await graph.stateEvents(room, root);
      if (filter === undefined) return events;
      return events.filter((event) => {
        const { type, state_key: stateKey = '' } = event.pdu;
        if (filter.lazyLoadMembers && type === MEMBER && !senders.has(stateKey)) return false;
        return passes(filter, room, event);
      });
    },
    state: async (reader, roomId) => {
      const { room, root } = await access.reading(reader, roomId);
      return present(room, await graph.stateEvents(room, root), reader);
    },
    stateEvent: async (reader, roomId, type, stateKey, whole) => {
      const { room, root } = await access.reading(reader, roomId);
      const num = await graph.states.get(room.num, root, type, stateKey);
      const event = num === undefined ? undefined : await graph.events.byNum(num);
      if (event === undefined) throw notFound('Event not found.');
      if (!whole) return JSON.stringify(shownPdu(event, roomVersion(room.version)).content);
      return (await present(room, [event], reader))[0] as string;
    },
    memberEvents: async (reader, roomId, { at, membership, notMembership }) => {
      const reading = await access.reading(reader, roomId);
      const { room } = reading;
      const events = await graph.stateEvents(room, at === undefined ? reading.root : await rootAt(reader, reading, at), MEMBER);
      const wanted = events.filter(({ pdu }) => {
        const is = pdu.content.membership;
        return (membership === undefined || is === membership) && (notMembership === undefined || is !== notMembership);
      });
      return present(room, wanted, reader);
    },
    joinedMembers: async (reader, roomId) => {
      const { room, root, by } = await access.reading(reader, roomId);
      if (by !== 'member') throw forbidden('Getting joined members while not being a current member of the room is forbidden.');
      const joined: [string, JoinedMember][] = [];
      for (const event of await graph.stateEvents(room, root, MEMBER)) {
        const { membership, displayname, avatar_url: avatarUrl } = shownPdu(event, roomVersion(room.version)).content;
        if (membership !== 'join') continue;
        joined.push([
          event.pdu.state_key ?? '',
          {
            display_name: typeof displayname === 'string' ? displayname : null,
            avatar_url: typeof avatarUrl === 'string' ? avatarUrl : null,
          },
        ]);
      }
      return Object.fromEntries(joined);
    },
  };
};
