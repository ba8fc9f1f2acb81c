import type { Config } from '#src/platform/config/index.ts';
import { STRIPPED_STATE_TYPES } from '#src/protocol/stripped-state.ts';
import type { RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';

const MEMBER = 'm.room.member';
/** Required of all stripped state, whatever else is configured: it says what room it is (client-server API, "Stripped state"). */
const CREATE = { type: 'm.room.create', stateKey: '' };

/** One state event, or without a state key all of a type. */
export interface StateSelector {
  readonly type: string;
  readonly stateKey: string | undefined;
}

/** The state that one is shown of a room before being in it, by `room_prejoin_state` or the older `room_invite_state_types`. */
export const preJoinState = (config: Pick<Config, 'room_prejoin_state' | 'room_invite_state_types'>): readonly StateSelector[] => {
  const { room_invite_state_types: older, room_prejoin_state: state } = config;
  if (older !== undefined) return older.map((type) => ({ type, stateKey: undefined }));
  const usual = state.disable_default_event_types ? [] : STRIPPED_STATE_TYPES.map((type) => ({ type, stateKey: '' }));
  const more = state.additional_event_types.map((each) => {
    const [type, stateKey] = typeof each === 'string' ? [each] : each;
    return { type, stateKey };
  });
  return [...usual, ...more];
};

/** The state by which one who is not in the room may tell what it is, as it was at `event`, its sender's member event last. */
export const createStripped =
  (graph: Pick<RoomGraph, 'states' | 'events'>, selectors: readonly StateSelector[]) =>
  async (room: RoomInfo, event: RoomEvent): Promise<readonly RoomEvent[]> => {
    const root = event.stateRoot;
    if (root === undefined) return [];
    const inviter = event.senderNum === event.stateKeyNum ? [] : [{ type: MEMBER, stateKey: event.pdu.sender }];
    const found = await Promise.all(
      [CREATE, ...selectors, ...inviter].map(async ({ type, stateKey }) => {
        if (stateKey === undefined) return (await graph.states.entries(room.num, root, type)).map((entry) => entry.eventNum);
        return [await graph.states.get(room.num, root, type, stateKey)];
      }),
    );
    const nums = new Set(found.flat().filter((num) => num !== undefined));
    // The event itself is shown whole, beside these.
    nums.delete(event.num);
    return graph.events.list([...nums]);
  };
