import type { Requester } from '#src/accounts/index.ts';
import { notFound } from '#src/protocol/errors.ts';
import type { UnsignedPdu } from '#src/protocol/events.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { STRIPPED_STATE_TYPES } from '#src/protocol/stripped-state.ts';
import type { RoomDraft, RoomEvent, RoomInfo } from '#src/rooms/graph/index.ts';

/** What a user of this server wants to become in a room that it takes another server to change. */
export interface RemoteStep {
  readonly requester: Requester;
  readonly roomId: string;
  /** The content of the member event, its membership included. */
  readonly content: JsonObject;
  /** Servers that are said to be in the room, in the order in which to ask them. */
  readonly servers: readonly string[];
}

/** An invite that may be sent: the event as it would be added next, and the state by which the invitee may tell what room it is. */
export interface RemoteInvite {
  readonly target: string;
  readonly event: UnsignedPdu;
  readonly told: readonly RoomEvent[];
}

/**
 * Memberships by way of other servers; `homeserver.ts` plugs federation in. All throw `MatrixError`: what the servers that were asked have against it, `notFound` where none is
 * known to be in the room, or 502 when none answered.
 */
export interface RemoteMembership {
  /** The other servers that are in the room, as far as its state here tells. */
  serversIn(room: RoomInfo): Promise<ReadonlySet<string>>;
  /** Joins a room; of one that this server is not in, all of its state is taken in. Resolves once that is durable, to the join. */
  join(step: RemoteStep): Promise<RoomEvent>;
  /** Knocks on a room that this server is not in. */
  knock(step: RemoteStep): Promise<RoomEvent>;
  /**
   * Declines an invite into a room that this server is not in, or takes back a knock: `held` is its event. It is done in any case; where no server can be told in
   * time, they are told later.
   */
  leave(requester: Requester, room: RoomInfo, held: RoomEvent, content: JsonObject): Promise<RoomEvent>;
  /** Has an invite signed by the server of its target, and puts it into the room then. Throws `forbidden` where the room does not allow it any more. */
  invite(room: RoomInfo, invite: RemoteInvite): Promise<RoomEvent>;
}

const unreachable = (): Promise<never> => Promise.reject(notFound('This server does not reach rooms of other servers'));

/** Reaches nobody. */
export const NOBODY: RemoteMembership = {
  serversIn: () => Promise.resolve(new Set()),
  join: unreachable,
  knock: unreachable,
  leave: unreachable,
  invite: unreachable,
};

/** The state by which somebody who is invited may tell what room it is, and who invites. */
export const toldState = async (draft: Pick<RoomDraft, 'state'>, inviter: string): Promise<RoomEvent[]> => {
  const keys = [...STRIPPED_STATE_TYPES.map((type) => [type, ''] as const), ['m.room.member', inviter] as const];
  const state: RoomEvent[] = [];
  for (const [type, stateKey] of keys) {
    const event = await draft.state(type, stateKey);
    if (event !== undefined) state.push(event);
  }
  return state;
};
