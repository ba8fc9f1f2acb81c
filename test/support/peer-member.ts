import { authTypesFor, stateKeyText } from '#src/protocol/auth-rules/index.ts';
import { buildPdu, type EncodedEvent, type NewPdu, type ParsedEvent, parsePdu, referencesTo } from '#src/protocol/events.ts';
import { clampedInteger, type JsonObject } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import type { NewEvent } from '#src/rooms/graph/index.ts';
import { ok, type Json, type Reply } from './client.ts';
import { takeStep } from './remote-user.ts';
import type { ScriptedPeer } from './scripted-peer.ts';
import type { Server } from './server.ts';

/** A room of a homeserver as a scripted server sees it that has come into it. */
export interface PeerMember {
  readonly roomId: string;
  readonly userId: string;
  /** The events that the room ends in, as far as the scripted server knows. */
  ends: readonly (EncodedEvent | ParsedEvent)[];
  /** The state that it knows. */
  readonly held: Map<string, EncodedEvent | ParsedEvent>;
  /** Makes the next event upon the ends; `changes` to what is built take the place of what would be right. */
  add(wanted: NewEvent, changes?: Partial<NewPdu>): EncodedEvent;
  /** A message of its user. */
  say(body: string, changes?: Partial<NewPdu>): EncodedEvent;
}

/** Lets a user of the scripted server join a room of the homeserver. */
export const joinAsPeer = async (peer: ScriptedPeer, server: Server, roomId: string, name = 'bob'): Promise<PeerMember> => {
  const userId = `@${name}:${peer.name}`;
  const { event, answer } = await takeStep(peer, server, 'join', roomId, userId);
  const state = (ok(answer)['state'] as JsonObject[]).map((pdu) => [pdu, JSON.stringify(pdu)] as const);
  const create = state.find(([pdu]) => pdu['type'] === 'm.room.create')?.[0]['content'] as { room_version?: string };
  const version = roomVersion(create.room_version ?? '1');
  const held = new Map<string, EncodedEvent | ParsedEvent>();
  const hold = (each: EncodedEvent | ParsedEvent): void => {
    if (each.pdu.state_key !== undefined) held.set(stateKeyText(each.pdu.type, each.pdu.state_key), each);
  };
  for (const [, text] of state) hold(parsePdu(text, version));
  hold(event);

  const add: PeerMember['add'] = (wanted, changes = {}) => {
    const keys = authTypesFor({ ...wanted, ...(wanted.stateKey !== undefined && { state_key: wanted.stateKey }) }, version);
    const auth = keys.flatMap(([type, stateKey]) => held.get(stateKeyText(type, stateKey)) ?? []);
    const made = buildPdu({
      roomVersion: version,
      roomId,
      ...wanted,
      originServerTs: Date.now(),
      depth: Math.max(...room.ends.map(({ pdu }) => clampedInteger(pdu.depth))) + 1,
      prevEvents: referencesTo(room.ends, version),
      authEvents: referencesTo(auth, version),
      serverName: peer.name,
      signingKey: peer.key,
      ...changes,
    });
    room.ends = [made];
    hold(made);
    return made;
  };

  const room: PeerMember = {
    roomId,
    userId,
    ends: [event],
    held,
    add,
    say: (body, changes) => add({ sender: userId, type: 'm.room.message', content: { msgtype: 'm.text', body } }, changes),
  };
  return room;
};

let sent = 0;

const isMade = (pdu: EncodedEvent | JsonObject): pdu is EncodedEvent =>
  typeof pdu === 'object' && pdu !== null && 'json' in pdu && typeof pdu['json'] === 'string';

/** Sends a transaction as the scripted server. */
export const sendTransaction = async (
  peer: ScriptedPeer,
  server: Server,
  pdus: readonly (EncodedEvent | JsonObject)[],
  { edus = [], txnId }: { edus?: readonly JsonObject[]; txnId?: string } = {},
): Promise<Reply<Json>> => {
  sent += 1;
  const content = {
    origin: peer.name,
    origin_server_ts: Date.now(),
    pdus: pdus.map((pdu) => (isMade(pdu) ? (JSON.parse(pdu.json) as JsonObject) : pdu)),
    edus,
  };
  return peer.ask(server, 'PUT', `/_matrix/federation/v1/send/${txnId ?? `txn${String(sent)}`}`, { content });
};
