import type { JsonObject } from '#src/protocol/json.ts';
import { completePdu, type EncodedEvent, type UnsignedPdu } from '#src/protocol/events.ts';
import { ROOM_VERSIONS, roomVersion } from '#src/protocol/room-versions.ts';
import { ok, type Json, type Reply } from './client.ts';
import type { ScriptedPeer } from './scripted-peer.ts';
import type { Server } from './server.ts';

export type Step = 'join' | 'leave' | 'knock';

const ALL_VERSIONS = [...ROOM_VERSIONS.keys()].map((version) => `ver=${version}`).join('&');
const FEDERATION = '/_matrix/federation';

/** Asks a server for the template of a membership event of the scripted server's user. */
export const askTemplate = async (
  peer: ScriptedPeer,
  server: Server,
  step: Step,
  roomId: string,
  userId: string,
  versions = ALL_VERSIONS,
): Promise<Reply<Json>> =>
  peer.ask(server, 'GET', `${FEDERATION}/v1/make_${step}/${encodeURIComponent(roomId)}/${encodeURIComponent(userId)}?${versions}`);

/** Completes a template as the scripted server; versions 1 and 2, whose ids are given, are not for it. */
export const complete = (peer: ScriptedPeer, template: Json, changes: JsonObject = {}): EncodedEvent => {
  const { event, room_version: version } = template as { event: UnsignedPdu; room_version: string };
  return completePdu({ ...event, ...changes }, { roomVersion: roomVersion(version), serverName: peer.name, signingKey: peer.key });
};

/** Sends a completed membership event. */
export const sendStep = async (
  peer: ScriptedPeer,
  server: Server,
  step: Step,
  roomId: string,
  { eventId, json }: Pick<EncodedEvent, 'eventId' | 'json'>,
  { version = step === 'knock' ? 'v1' : 'v2', query = '' } = {},
): Promise<Reply<Json>> =>
  peer.ask(server, 'PUT', `${FEDERATION}/${version}/send_${step}/${encodeURIComponent(roomId)}/${encodeURIComponent(eventId)}${query}`, {
    content: JSON.parse(json) as JsonObject,
  });

/** Takes a step with both requests; answers the event and what the second request was answered. */
export const takeStep = async (
  peer: ScriptedPeer,
  server: Server,
  step: Step,
  roomId: string,
  userId: string,
): Promise<{ event: EncodedEvent; answer: Reply<Json> }> => {
  const event = complete(peer, ok(await askTemplate(peer, server, step, roomId, userId)));
  return { event, answer: await sendStep(peer, server, step, roomId, event) };
};
