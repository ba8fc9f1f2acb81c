import { prevEventIds } from '#src/protocol/events.ts';
import type { RoomEvent, RoomGraph } from '#src/rooms/graph/index.ts';

/** What somebody has become in a room. */
export interface Flip {
  readonly userNum: number;
  readonly membership: string;
}

/** What is known of a room's end before an event. */
export interface RoomEnd {
  /** The position of the room's last event. */
  readonly last: number;
  readonly eventId: string;
  /** Whether that event was the room's only extremity. */
  readonly isAlone: boolean;
}

const MEMBER = 'm.room.member';

const membershipOf = (event: RoomEvent): string => {
  const { membership } = event.pdu.content;
  return typeof membership === 'string' ? membership : 'leave';
};

/** Whether an event lies on the one end of its room: then it changes what it says itself and nothing else. */
export const isInLine = (event: RoomEvent, before: RoomEnd | undefined): boolean => {
  const prev = prevEventIds(event.pdu);
  return before?.isAlone === true && prev.length === 1 && prev[0] === before.eventId;
};

/** What the event itself makes of a member. */
export const ownFlip = (event: RoomEvent): readonly Flip[] =>
  event.pdu.type === MEMBER && event.stateKeyNum !== undefined ? [{ userNum: event.stateKeyNum, membership: membershipOf(event) }] : [];

/** Finds whose membership has changed where the state is resolved anew, which can bring people in and out by events that are old. */
export interface Flips {
  /** By an event, whether or not it lies on its room's one end; `isAlone` says that it is the only end now. */
  byEvent(event: RoomEvent, before: RoomEnd | undefined): Promise<{ flips: readonly Flip[]; isAlone: boolean }>;
  /** Between two positions of a room. */
  between(roomNum: number, from: number, to: number): Promise<readonly Flip[]>;
}

export const createFlips = ({
  timeline,
  states,
  events,
  rooms,
  head,
}: Pick<RoomGraph, 'timeline' | 'states' | 'events' | 'rooms' | 'head'>): Flips => {
  const isOnlyEnd = async ({ roomNum, eventId }: RoomEvent): Promise<boolean> => {
    const room = (await rooms([roomNum])).get(roomNum);
    const { extremities } = room === undefined ? { extremities: [] } : await head(room);
    return extremities.length === 1 && extremities[0]?.eventId === eventId;
  };

  const between: Flips['between'] = async (roomNum, from, to) => {
    const [before, after] = await Promise.all([timeline.rootAt(roomNum, from), timeline.rootAt(roomNum, to)]);
    const flips: Flip[] = [];
    for (const { after: now, before: past } of await states.diff(roomNum, before, after)) {
      const holder = await events.byNum((now ?? past) as number);
      if (holder?.pdu.type !== MEMBER || holder.stateKeyNum === undefined) continue;
      flips.push({ userNum: holder.stateKeyNum, membership: now === undefined ? 'leave' : membershipOf(holder) });
    }
    return flips;
  };

  return {
    between,
    byEvent: async (event, before) => {
      const isAlone = await isOnlyEnd(event);
      // What the only end cites was the only end before it.
      if (before === undefined && isAlone && event.pdu.prev_events.length <= 1) return { flips: ownFlip(event), isAlone };
      const position = event.position as number;
      return { flips: await between(event.roomNum, before?.last ?? position - 1, position), isAlone };
    },
  };
};
