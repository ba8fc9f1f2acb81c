import { badJson, forbidden, invalidParam, unknown } from '#src/protocol/errors.ts';
import { parsePdu, type Pdu } from '#src/protocol/events.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { signEvent, type SigningKey } from '#src/protocol/signatures.ts';
import {
  DroppedEventError,
  isAccepted,
  MissingEventsError,
  RefusedEventError,
  type RoomEvent,
  type RoomGraph,
  type RoomInfo,
} from '#src/rooms/graph/index.ts';
import { checkConditions, membershipIn, type RestrictedReads } from '#src/rooms/membership/index.ts';
import { roomToEnter } from '#src/federation/membership/rooms.ts';

const MEMBER = 'm.room.member';

/** What a user of another server may become by way of this one. */
export type Step = 'join' | 'leave' | 'knock';

/** A membership event that another server has completed, in its room. */
export interface LetIn {
  readonly room: RoomInfo;
  readonly event: RoomEvent;
}

/** Takes in the membership events of other servers' users. */
export interface LettingIn {
  /**
   * Takes the event into its room; the same one again is answered as before. Throws `invalidParam` for what is no such event of the origin's user, `notFound` and
   * `forbidden` as for its template, and for a join by a restricted rule `unableToAuthoriseJoin`.
   */
  take(origin: string, roomId: string, step: Step, content: JsonObject | undefined): Promise<LetIn>;
}

interface Tools {
  readonly graph: Pick<RoomGraph, 'room' | 'currentState' | 'memberships' | 'write' | 'receive' | 'events'>;
  readonly reads: RestrictedReads;
  readonly serverName: string;
  readonly signingKey: SigningKey;
  /** Throws `limitExceeded` when a room is joined too often. */
  readonly limitJoins: (roomId: string) => void;
}

const checkForm = (origin: string, step: Step, { type, state_key: stateKey, sender, content }: Pdu): void => {
  if (type !== MEMBER || stateKey === undefined) throw invalidParam('Not an m.room.member event');
  if (content.membership !== step) throw invalidParam(`Not a ${step} event`);
  if (domainOf(sender) !== origin) throw invalidParam('User not from origin');
  if (stateKey !== sender) throw invalidParam('state_key and sender must match');
};

/** What the other server is told of an event that has no place in the room. */
const asAnswer = (error: unknown): unknown => {
  if (error instanceof DroppedEventError) return invalidParam(error.message);
  if (error instanceof RefusedEventError) return forbidden(error.message);
  if (error instanceof MissingEventsError) return unknown(error.message);
  return error;
};

/** What servers send once a user of theirs has joined, left or knocked (server-server API, `send_join`, `send_leave` and `send_knock`). */
export const createLettingIn = ({ graph, reads, serverName, signingKey, limitJoins }: Tools): LettingIn => {
  /** Checks a join by a restricted rule. Where the event names a user of this server who lets the joiner in, this server signs it. */
  const withAuthority = async (room: RoomInfo, pdu: Pdu): Promise<Pdu> => {
    const userNum = await reads.strings.numOf(pdu.sender);
    await graph.write(room, async (draft) =>
      checkConditions(draft, reads, { userId: pdu.sender, userNum }, membershipIn(await draft.state(MEMBER, pdu.sender))),
    );
    const version = roomVersion(room.version);
    const { join_authorised_via_users_server: authoriser } = pdu.content;
    if (!version.restricted || authoriser === undefined) return pdu;
    const server = typeof authoriser === 'string' ? domainOf(authoriser) : undefined;
    if (server !== serverName) throw invalidParam(`Cannot authorise a join for ${String(server)}: this server is ${serverName}`);
    return signEvent(pdu, serverName, signingKey, version);
  };

  const receive = async (room: RoomInfo, eventId: string, pdu: Pdu): Promise<RoomEvent> => {
    try {
      await graph.receive(room, pdu, { isLetIn: true });
    } catch (error) {
      throw asAnswer(error);
    }
    const event = await graph.events.byId(eventId);
    if (event === undefined || !isAccepted(event)) throw forbidden(event?.fault ?? 'The event is not accepted');
    return event;
  };

  return {
    take: async (origin, roomId, step, content) => {
      const room = await roomToEnter(graph, origin, roomId);
      const version = roomVersion(room.version);
      if (step === 'knock' && !version.knock) throw forbidden('This room version does not support knocking');
      if (content === undefined) throw badJson('There is no event');
      if (content.room_id !== roomId) throw badJson('Room ID in body does not match that in request path');
      const { pdu, eventId } = parsePdu(content, version);
      checkForm(origin, step, pdu);
      if (step !== 'join') return { room, event: await receive(room, eventId, pdu) };
      limitJoins(roomId);
      return { room, event: await receive(room, eventId, await withAuthority(room, pdu)) };
    },
  };
};
