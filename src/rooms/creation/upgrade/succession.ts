import type { Strings } from '#src/platform/database/strings.ts';
import type { Logger } from '#src/platform/logging/index.ts';
import type { Followers } from '#src/platform/streams/followers.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import { isJsonObject } from '#src/protocol/json.ts';
import type { Directory } from '#src/rooms/directory/index.ts';
import { EVENTS_STREAM, isAccepted, type RoomEvent, type RoomGraph, type RoomInfo } from '#src/rooms/graph/index.ts';
import { membershipIn } from '#src/rooms/membership/index.ts';

/** A user of this server, by both names. */
interface Member {
  readonly userId: string;
  readonly userNum: number;
}

/** Carries what a user has set for a room over to its successor; safe to repeat. What users set lives above rooms. */
type CarrySettings = (user: Member, from: RoomInfo, to: RoomInfo) => Promise<void>;

/** Takes users' settings along where a room has been replaced. */
export interface Succession {
  /** Begins to follow the stream of events. */
  follow(followers: Pick<Followers, 'follow'>): Promise<void>;
}

export interface SuccessionTools {
  readonly graph: Pick<RoomGraph, 'timeline' | 'room' | 'rooms' | 'currentState' | 'memberships' | 'states' | 'events'>;
  readonly strings: Pick<Strings, 'textOf'>;
  readonly directory: Pick<Directory, 'moveIfListed'>;
  readonly carry: CarrySettings;
  readonly serverName: string;
  readonly log: Logger;
}

const CREATE = 'm.room.create';
const MEMBER = 'm.room.member';
const TOMBSTONE = 'm.room.tombstone';

/**
 * Tags, direct chats and push rules go with their users (client-server API, "Room Upgrades"), whoever replaced the room and on whichever server: of all of this server's members
 * when the tombstone is set on a room whose successor it is in, of each when they first come into the successor. Both rooms must name each other.
 */
export const createSuccession = ({ graph, strings, directory, carry, serverName, log }: SuccessionTools): Succession => {
  const successorNamed = async (room: RoomInfo): Promise<unknown> =>
    (await graph.currentState(room, TOMBSTONE, ''))?.pdu.content.replacement_room;

  const predecessorNamed = async (room: RoomInfo): Promise<string | undefined> => {
    const predecessor = (await graph.currentState(room, CREATE, ''))?.pdu.content.predecessor;
    return isJsonObject(predecessor) && typeof predecessor.room_id === 'string' ? predecessor.room_id : undefined;
  };

  const carryAll = async (users: readonly Member[], from: RoomInfo, to: RoomInfo): Promise<void> => {
    await directory.moveIfListed(from.num, to.num);
    for (const user of users) {
      try {
        await carry(user, from, to);
      } catch (error) {
        // Settings that a limit keeps from being copied must not keep others' from it.
        if (!(error instanceof MatrixError)) throw error;
        log.warn({ err: error, user_id: user.userId, room_id: to.roomId }, 'Settings could not be carried over to an upgraded room');
      }
    }
  };

  const onTombstone = async (room: RoomInfo): Promise<void> => {
    const named = await successorNamed(room);
    const successor = typeof named === 'string' ? await graph.room(named) : undefined;
    if (successor === undefined || (await predecessorNamed(successor)) !== room.roomId) return;
    if (!(await graph.memberships.isHere(successor.num))) return;
    const rows = (await graph.memberships.having(room.num, 'join')).filter((row) => row.isLocal);
    const userIds = await strings.textOf(rows.map((row) => row.userNum));
    await carryAll(
      [...userIds].map(([userNum, userId]) => ({ userNum, userId })),
      room,
      successor,
    );
  };

  /** Whether a member was in the room already: then the event says something else, such as a new name. */
  const wasIn = async (room: RoomInfo, event: RoomEvent, userId: string): Promise<boolean> => {
    const root = await graph.timeline.rootAt(room.num, (event.position as number) - 1);
    const num = await graph.states.get(room.num, root, MEMBER, userId);
    return num !== undefined && membershipIn(await graph.events.byNum(num)) === 'join';
  };

  const onJoin = async (room: RoomInfo, event: RoomEvent, user: Member): Promise<void> => {
    const named = await predecessorNamed(room);
    const predecessor = named === undefined ? undefined : await graph.room(named);
    if (predecessor === undefined || (await successorNamed(predecessor)) !== room.roomId) return;
    if (!(await wasIn(room, event, user.userId))) await carryAll([user], predecessor, room);
  };

  const look = async (event: RoomEvent, room: RoomInfo): Promise<void> => {
    const { type, state_key: stateKey } = event.pdu;
    if (type === TOMBSTONE && stateKey === '') await onTombstone(room);
    const isOwnJoin = type === MEMBER && domainOf(stateKey ?? '') === serverName && membershipIn(event) === 'join';
    if (isOwnJoin) await onJoin(room, event, { userId: stateKey ?? '', userNum: event.stateKeyNum as number });
  };

  const handle = async (from: number, to: number): Promise<void> => {
    const events = (await graph.timeline.between(from, to, to - from)).filter(
      (event) => (event.pdu.type === TOMBSTONE || event.pdu.type === MEMBER) && isAccepted(event),
    );
    if (events.length === 0) return;
    const rooms = await graph.rooms([...new Set(events.map((event) => event.roomNum))]);
    for (const event of events) {
      const room = rooms.get(event.roomNum);
      if (room !== undefined) await look(event, room);
    }
  };

  return {
    follow: async (followers) => {
      await followers.follow({
        name: 'room successions',
        stream: EVENTS_STREAM,
        start: 'now',
        batch: 100,
        handle: async ({ from, to }) => handle(from.min, to.min),
      });
    },
  };
};
