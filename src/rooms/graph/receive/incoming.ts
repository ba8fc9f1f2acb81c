import { setImmediate } from 'node:timers/promises';
import { MatrixError } from '#src/protocol/errors.ts';
import { parsePdu, type ParsedEvent, redactedCopy } from '#src/protocol/events.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { signedAt } from '#src/protocol/key-validity.ts';
import { type RoomVersion, roomVersion } from '#src/protocol/room-versions.ts';
import { requiredSigners, signingKeyIds, type VerifyKey, verifySignedText } from '#src/protocol/signatures.ts';
import type { RoomInfo } from '#src/rooms/graph/events.ts';
import { REDUCED, REJECTED, UNVERIFIED } from '#src/rooms/graph/events.ts';
import type { Judgement } from '#src/rooms/graph/receive/judgement.ts';
import { DroppedEventError } from '#src/rooms/graph/receive/missing.ts';
import type { ServerKeys } from '#src/rooms/graph/receive/server-keys.ts';

/** An event from elsewhere after the checks that need nothing of its room, with what they found. */
export interface Incoming extends Judgement {
  /** In its redacted form where the content hash does not match. */
  readonly parsed: ParsedEvent;
}

/** An event's JSON: its text, or as `parseLosslessJson` gives it. */
export type PduSource = string | JsonObject;

/** Check 1: the form of the room version, the size limits, and that it is an event of this room. */
const readInRoom = (roomId: string | undefined, version: RoomVersion, source: PduSource): ParsedEvent => {
  let parsed: ParsedEvent;
  try {
    parsed = parsePdu(source, version);
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error;
    throw new DroppedEventError(error.message, { cause: error });
  }
  if (roomId !== undefined && parsed.roomId !== roomId) throw new DroppedEventError(`${parsed.eventId} is an event of ${parsed.roomId}`);
  return parsed;
};

/**
 * Check 2: the signatures of its sender's server and of others that have to sign it. Answers which server's key is wanting; throws
 * `DroppedEventError` for signatures that are wrong or not there.
 */
const checkSignatures = async (
  { parsed, version }: { parsed: ParsedEvent; version: RoomVersion },
  keys: ServerKeys,
): Promise<string | undefined> => {
  const { pdu, eventId, signedText } = parsed;
  const atMs = signedAt(pdu, version);
  let wanting: string | undefined;
  for (const server of requiredSigners(pdu, version)) {
    const found = new Map<string, VerifyKey | undefined>();
    for (const keyId of signingKeyIds(pdu.signatures, server)) found.set(keyId, await keys.find(server, keyId, atMs));
    const check = verifySignedText(signedText, pdu.signatures, server, (keyId) => found.get(keyId));
    if (check === 'missing' || check === 'invalid') throw new DroppedEventError(`${eventId}: the signature of ${server} is ${check}`);
    if (check === 'unknown-key') wanting = server;
  }
  return wanting;
};

/**
 * Checks 1 to 3 of the server-server API's "Checks performed on receipt of a PDU": form, signatures, and content hash, for want of which only
 * the redacted form is kept. Needs nothing of the room, so the room does not wait. `roomId` may be left open for an event that names its room.
 * Throws `DroppedEventError`.
 */
export const checkIncoming = async (
  room: Pick<RoomInfo, 'version'> & { readonly roomId?: string },
  source: PduSource,
  keys: ServerKeys,
): Promise<Incoming> => {
  const version = roomVersion(room.version);
  return checkParsed(readInRoom(room.roomId, version, source), version, keys);
};

/** Checks 2 and 3 of an event whose form is in order. */
const checkParsed = async (parsed: ParsedEvent, version: RoomVersion, keys: ServerKeys): Promise<Incoming> => {
  const wanting = await checkSignatures({ parsed, version }, keys);
  const whole: Incoming = parsed.contentHashMatches
    ? { parsed, facts: 0, fault: undefined }
    : { parsed: { ...parsed, ...redactedCopy(parsed, version) }, facts: REDUCED, fault: 'its content hash does not match' };
  if (wanting === undefined) return whole;
  return { ...whole, facts: whole.facts | REJECTED | UNVERIFIED, fault: `no key of ${wanting} is at hand to check its signature with` };
};

/** So many events are read, or signatures checked, before other work has its turn. */
const SLICE = 50;

/** Does something for each, giving other work its turn; what is dropped is left out. */
const forEachKept = async <From, To>(all: readonly From[], make: (each: From) => Promise<To> | To): Promise<To[]> => {
  const kept: To[] = [];
  for (const [index, each] of all.entries()) {
    if (index % SLICE === SLICE - 1) await setImmediate();
    try {
      kept.push(await make(each));
    } catch (error) {
      if (!(error instanceof DroppedEventError)) throw error;
    }
  }
  return kept;
};

/** Asks for the keys of all that has to be signed side by side: servers that are gone are waited for together, and no more than once. */
const withKeysAtHand = async (events: readonly ParsedEvent[], version: RoomVersion, keys: ServerKeys): Promise<ServerKeys> => {
  const wanted = new Map<string, { server: string; keyId: string; atMs: number | undefined }>();
  for (const { pdu } of events) {
    const atMs = signedAt(pdu, version);
    for (const server of requiredSigners(pdu, version))
      for (const keyId of signingKeyIds(pdu.signatures, server)) {
        const latest = wanted.get(`${server} ${keyId}`)?.atMs;
        wanted.set(`${server} ${keyId}`, { server, keyId, atMs: latest === undefined ? atMs : Math.max(latest, atMs ?? latest) });
      }
  }
  const inVain = new Set<string>();
  await Promise.all(
    [...wanted].map(async ([name, { server, keyId, atMs }]) => {
      const found = (await keys.find(server, keyId, atMs)) ?? (await keys.find(server, keyId, undefined));
      if (found === undefined) inVain.add(name);
    }),
  );
  return {
    find: async (server, keyId, atMs) => (inVain.has(`${server} ${keyId}`) ? undefined : keys.find(server, keyId, atMs)),
  };
};

/** Checks many events; those that are dropped are left out. */
export const checkManyIncoming = async (
  room: Pick<RoomInfo, 'version'> & { readonly roomId?: string },
  sources: readonly PduSource[],
  keys: ServerKeys,
): Promise<Incoming[]> => {
  const version = roomVersion(room.version);
  const parsed = await forEachKept(sources, (source) => readInRoom(room.roomId, version, source));
  const atHand = await withKeysAtHand(parsed, version, keys);
  return forEachKept(parsed, async (each) => checkParsed(each, version, atHand));
};
