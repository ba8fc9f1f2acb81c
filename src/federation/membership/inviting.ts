import type { Clock } from '#src/platform/clock.ts';
import type { Random } from '#src/platform/random.ts';
import { forbidden, unknown, unsupportedRoomVersion } from '#src/protocol/errors.ts';
import { completePdu, type EncodedEvent, parsePdu } from '#src/protocol/events.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import { isJsonObject, type JsonObject, member, parseLosslessJson } from '#src/protocol/json.ts';
import { type RoomVersion, roomVersion } from '#src/protocol/room-versions.ts';
import { type SigningKey, signingKeyIds, type VerifyKey, verifySignedText } from '#src/protocol/signatures.ts';
import { isAccepted, type RoomEvent, type RoomGraph, type RoomInfo, type ServerKeys } from '#src/rooms/graph/index.ts';
import type { RemoteInvite } from '#src/rooms/membership/index.ts';
import type { FederationClient } from '#src/federation/client.ts';
import { asClientError, FederationError, federationDenied, isUnrecognised } from '#src/federation/faults.ts';

const TIMEOUT_MS = 20_000;
const MAX_BYTES = 1024 * 1024;
/** By these the other server says that it cannot make sense of the request, which is not its sender's user's fault. */
const INCOMPATIBLE: ReadonlySet<string> = new Set(['M_MISSING_PARAM', 'M_INVALID_PARAM']);

interface Tools {
  readonly graph: Pick<RoomGraph, 'receive' | 'events'>;
  readonly client: Pick<FederationClient, 'ask'>;
  readonly keys: ServerKeys;
  readonly clock: Clock;
  readonly random: Random;
  readonly serverName: string;
  readonly signingKey: SigningKey;
  readonly isAllowed: (serverName: string) => boolean;
  readonly signal: AbortSignal;
}

const asAnswer = (error: unknown, server: string): unknown => {
  if (!(error instanceof FederationError)) return error;
  const { refusal } = error;
  if (refusal?.status === 400 && INCOMPATIBLE.has(refusal.errcode))
    return unknown(`${server} cannot make sense of the invite: ${refusal.errcode} ${refusal.error}`);
  return asClientError(error);
};

/**
 * Invites users of other servers (server-server API, "Inviting to a room"): the invite is in the room only once the invitee's server has signed it. Throws as
 * `RemoteMembership` says, and `unsupportedRoomVersion` for a server that knows rooms of versions 1 and 2 alone.
 */
export const createInviting = (tools: Tools): ((room: RoomInfo, invite: RemoteInvite) => Promise<RoomEvent>) => {
  const { graph, client, keys, clock, random, serverName, signingKey, isAllowed, signal } = tools;

  const send = async (server: string, room: RoomInfo, event: EncodedEvent, told: readonly RoomEvent[]): Promise<JsonObject> => {
    const path = (version: 'v1' | 'v2'): string =>
      `/_matrix/federation/${version}/invite/${encodeURIComponent(room.roomId)}/${encodeURIComponent(event.eventId)}`;
    const request = { method: 'PUT', timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES, ignoresBackOff: true, signal } as const;
    const state = `[${told.map(({ json }) => json).join(',')}]`;
    try {
      const contentText = `{"event":${event.json},"invite_room_state":${state},"room_version":${JSON.stringify(room.version)}}`;
      return await client.ask(server, { ...request, path: path('v2'), contentText });
    } catch (error) {
      if (!(error instanceof FederationError) || !isUnrecognised(error)) throw error;
      if (roomVersion(room.version).eventIds !== 'given')
        throw unsupportedRoomVersion("The user's homeserver does not support this room version");
    }
    const content = { ...event.pdu, unsigned: { invite_room_state: parseLosslessJson(state) } } as unknown as JsonObject;
    return client.ask(server, { ...request, path: path('v1'), content, isInList: true });
  };

  /** The other server's signature of the invite, as it stands under `signatures`. */
  const signatureIn = async (server: string, event: EncodedEvent, version: RoomVersion, answer: JsonObject): Promise<JsonObject> => {
    const { event: signed } = answer;
    const signatures = isJsonObject(signed) ? signed.signatures : undefined;
    const theirs = isJsonObject(signatures) ? member(signatures, server) : undefined;
    if (!isJsonObject(theirs)) throw new FederationError('nonsense', server, `${server} did not sign the invite`);
    const found = new Map<string, VerifyKey | undefined>();
    for (const keyId of signingKeyIds(signatures, server)) found.set(keyId, await keys.find(server, keyId, clock.now()));
    const check = verifySignedText(parsePdu(event.json, version).signedText, signatures, server, (keyId) => found.get(keyId));
    if (check !== 'valid') throw new FederationError('nonsense', server, `The signature of ${server} is ${check}`);
    return theirs;
  };

  return async (room, { target, event: unsigned, told }) => {
    const server = domainOf(target) ?? '';
    if (!isAllowed(server)) throw federationDenied(server);
    const version = roomVersion(room.version);
    const fields = version.eventIds === 'given' ? { ...unsigned, event_id: `$${random.string(18)}:${serverName}` } : unsigned;
    const event = completePdu(fields, { roomVersion: version, serverName, signingKey });
    try {
      const theirs = await signatureIn(server, event, version, await send(server, room, event, told));
      const signed = { ...event.pdu, signatures: { ...event.pdu.signatures, [server]: theirs } } as unknown as JsonObject;
      await graph.receive(room, signed);
    } catch (error) {
      throw asAnswer(error, server);
    }
    const invite = await graph.events.byId(event.eventId);
    if (invite === undefined || !isAccepted(invite)) throw forbidden(invite?.fault ?? 'The room does not allow the invite any more');
    return invite;
  };
};
