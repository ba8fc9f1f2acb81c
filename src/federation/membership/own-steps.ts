import type { Clock } from '#src/platform/clock.ts';
import type { Random } from '#src/platform/random.ts';
import { incompatibleRoomVersion, MatrixError } from '#src/protocol/errors.ts';
import { checkFormat } from '#src/protocol/event-format.ts';
import { completePdu, type EncodedEvent, type UnsignedPdu } from '#src/protocol/events.ts';
import { isUserId } from '#src/protocol/identifiers.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '#src/protocol/json.ts';
import { ROOM_VERSIONS, type RoomVersion } from '#src/protocol/room-versions.ts';
import type { SigningKey } from '#src/protocol/signatures.ts';
import type { FederationClient } from '#src/federation/client.ts';
import { FederationError, isUnrecognised } from '#src/federation/faults.ts';
import { inLine } from '#src/federation/in-line.ts';
import { type JoinAnswer, readJoinAnswer } from '#src/federation/membership/join-answer.ts';
import type { Step } from '#src/federation/membership/letting-in.ts';

/** What a user of this server wants to become in a room, by way of another server. */
export interface OwnStep {
  readonly step: Step;
  readonly roomId: string;
  readonly userId: string;
  /** The content of the member event, its membership included. */
  readonly content: JsonObject;
}

/** The step as an event that this server has signed. */
export interface OwnEvent {
  readonly version: RoomVersion;
  readonly event: EncodedEvent;
}

/** How long is waited, and what ends the waiting. */
export interface Patience {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Takes steps of this server's users by way of others (server-server API, `make_…` and `send_…`). All throw `FederationError`. */
export interface OwnSteps {
  /**
   * Completes the template that the server gives. Also throws `incompatibleRoomVersion`, `badJson` and `tooLarge` for content that makes no event, and `forbidden` for a
   * server that is not on the whitelist.
   */
  make(server: string, step: OwnStep, patience: Patience): Promise<OwnEvent>;
  /** Sends a leave or a knock; answers what the server says to it. */
  send(server: string, step: 'leave' | 'knock', event: EncodedEvent, patience: Patience): Promise<JsonObject>;
  /** Sends a join; answers the room as the server tells it. */
  sendJoin(server: string, event: EncodedEvent, patience: Patience): Promise<JoinAnswer>;
}

const MEBIBYTE = 1024 * 1024;
const MAX_TEMPLATE_BYTES = MEBIBYTE;
/** All of a room's state has to be in memory at once, and that of so many rooms may be. */
const MAX_JOINS_AT_ONCE = 8;
const MAX_ANSWER_BYTES = { join: 128 * MEBIBYTE, knock: 16 * MEBIBYTE, leave: MEBIBYTE } as const;

const path = (version: 'v1' | 'v2', kind: string, ...parts: readonly string[]): string =>
  `/_matrix/federation/${version}/${kind}/${parts.map((part) => encodeURIComponent(part)).join('/')}`;

/** Asks in the second version of an endpoint, or in the first of a server that does not know the second. */
const askEither = async <T>(ask: (version: 'v1' | 'v2') => Promise<T>): Promise<T> => {
  try {
    return await ask('v2');
  } catch (error) {
    if (!(error instanceof FederationError) || !isUnrecognised(error)) throw error;
    return ask('v1');
  }
};

const sending = ({ json }: EncodedEvent, maxBytes: number, patience: Patience) =>
  ({ method: 'PUT', contentText: json, ignoresBackOff: true, maxBytes, ...patience }) as const;

export const createOwnSteps = ({
  client,
  clock,
  random,
  serverName,
  signingKey,
}: {
  client: Pick<FederationClient, 'ask' | 'read'>;
  clock: Clock;
  random: Random;
  serverName: string;
  signingKey: SigningKey;
}): OwnSteps => {
  const oneOfFew = inLine(MAX_JOINS_AT_ONCE);

  /** Of what the server gives only the place in the room is taken over, and who lets in by a restricted rule. */
  const unsignedOf = (
    server: string,
    { step, roomId, userId, content }: OwnStep,
    template: JsonValue | undefined,
    version: RoomVersion,
  ) => {
    const nonsense = (why: string): FederationError =>
      new FederationError('nonsense', server, `${server} gave no template for a ${step}: ${why}`);
    if (!isJsonObject(template)) throw nonsense('there is no event');
    const { type, sender, state_key: stateKey, room_id: theirRoom, content: theirs } = template;
    if (type !== 'm.room.member' || sender !== userId || stateKey !== userId) throw nonsense('it is of another user');
    if (theirRoom !== roomId) throw nonsense('it is of another room');
    if (!isJsonObject(theirs) || theirs.membership !== step) throw nonsense(`it is no ${step}`);
    const { join_authorised_via_users_server: authoriser } = theirs;
    const unsigned = {
      auth_events: template.auth_events ?? null,
      content: {
        ...content,
        ...(step === 'join' && version.restricted && isUserId(authoriser) && { join_authorised_via_users_server: authoriser }),
      },
      depth: template.depth ?? null,
      ...(version.eventIds === 'given' && { event_id: `$${random.string(18)}:${serverName}` }),
      origin_server_ts: clock.now(),
      prev_events: template.prev_events ?? null,
      room_id: roomId,
      sender: userId,
      state_key: userId,
      type: 'm.room.member',
    };
    try {
      checkFormat({ ...unsigned, hashes: { sha256: '' }, signatures: {} }, version);
    } catch (error) {
      throw error instanceof MatrixError ? nonsense(error.message) : error;
    }
    return unsigned as unknown as UnsignedPdu;
  };

  return {
    make: async (server, step, patience) => {
      const answer = await client.ask(server, {
        method: 'GET',
        path: path('v1', `make_${step.step}`, step.roomId, step.userId),
        ...(step.step !== 'leave' && { query: { ver: [...ROOM_VERSIONS.keys()] } }),
        ignoresBackOff: true,
        maxBytes: MAX_TEMPLATE_BYTES,
        ...patience,
      });
      const { room_version: versionId = '1', event: template } = answer;
      const version = typeof versionId === 'string' ? ROOM_VERSIONS.get(versionId) : undefined;
      if (version === undefined) {
        const said = typeof versionId === 'string' ? versionId.slice(0, 32) : '';
        throw incompatibleRoomVersion(`This server does not support the room's version, ${said}`, { room_version: said });
      }
      const event = completePdu(unsignedOf(server, step, template, version), { roomVersion: version, serverName, signingKey });
      return { version, event };
    },
    send: async (server, step, event, patience) => {
      const request = sending(event, MAX_ANSWER_BYTES[step], patience);
      const pathIn = (version: 'v1' | 'v2'): string => path(version, `send_${step}`, event.roomId, event.eventId);
      if (step === 'knock') return client.ask(server, { ...request, path: pathIn('v1') });
      return askEither(async (version) => client.ask(server, { ...request, path: pathIn(version), isInList: version === 'v1' }));
    },
    sendJoin: async (server, event, patience) => {
      const request = sending(event, MAX_ANSWER_BYTES.join, patience);
      const ask = async (version: 'v1' | 'v2'): Promise<JoinAnswer> => {
        const text = await client.read(server, { ...request, path: path(version, 'send_join', event.roomId, event.eventId) });
        // In a list after the status.
        return readJoinAnswer(server, version === 'v1' ? text.slice(Math.max(0, text.indexOf('{'))) : text);
      };
      return oneOfFew(async () => askEither(ask));
    },
  };
};
