import { domainOf } from '#src/protocol/identifiers.ts';
import type { RoomDraft, RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import { membershipIn } from '#src/rooms/membership/changes.ts';
import type { Membership } from '#src/rooms/membership/service.ts';

const MEMBER = 'm.room.member';

const isGuestInside = (event: RoomEvent | undefined): boolean => {
  const membership = membershipIn(event);
  return event?.pdu.content.kind === 'guest' && (membership === 'join' || membership === 'invite');
};

/**
 * Lets this server's guests leave a room that has been closed to them. They leave by themselves, as far as others can see: what they are is a matter
 * between them and their server, and no power level must stand in the way.
 */
export const letGuestsLeave = async (
  graph: Pick<RoomGraph, 'stateEvents' | 'currentRoot' | 'write'>,
  changeIn: Membership['changeIn'],
  serverName: string,
  room: RoomInfo,
): Promise<void> => {
  const leave = async (draft: RoomDraft, userId: string, userNum: number): Promise<void> => {
    if (!isGuestInside(await draft.state(MEMBER, userId))) return;
    const guest = { userId, userNum, deviceId: undefined, sessionNum: undefined, isGuest: true, isAdmin: false };
    await changeIn(draft, guest, { target: userId, action: 'leave' }, new Map());
  };
  for (const event of await graph.stateEvents(room, await graph.currentRoot(room), MEMBER)) {
    const { state_key: userId = '' } = event.pdu;
    const { stateKeyNum: userNum } = event;
    if (userNum === undefined || domainOf(userId) !== serverName || !isGuestInside(event)) continue;
    await graph.write(room, async (draft) => leave(draft, userId, userNum));
  }
};
