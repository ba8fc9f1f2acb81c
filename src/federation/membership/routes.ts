import { type Access, RawJson, type Route, route } from '#src/platform/http/route.ts';
import { Type } from '#src/platform/schema.ts';
import { canonicalJson } from '#src/protocol/canonical-json.ts';
import { isJsonObject, type JsonObject } from '#src/protocol/json.ts';
import type { RoomEvent } from '#src/rooms/graph/index.ts';
import type { Peer } from '#src/federation/access.ts';
import type { Invites } from '#src/federation/membership/invites.ts';
import type { LetIn, LettingIn } from '#src/federation/membership/letting-in.ts';
import type { Template, Templates } from '#src/federation/membership/templates.ts';
import type { Welcomes } from '#src/federation/membership/welcome.ts';
import { federationPath } from '#src/federation/paths.ts';

const Versions = Type.Array(Type.String(), { maxItems: 1000 });
/** What servers understand that do not say it. */
const OLDEST = ['1'] as const;

const pdusText = (events: readonly RoomEvent[]): string => `[${events.map((event) => event.json).join(',')}]`;

/** The first version of these endpoints answers with the status in a list. */
const asList = (text: string): RawJson => new RawJson(`[200,${text}]`);

/** How users of other servers join, leave and knock by way of this one (server-server API, Joining, Leaving and Knocking). */
export const peerMembershipRoutes = ({
  peer,
  templates,
  lettingIn,
  invites,
  welcomes,
  serverName,
}: {
  peer: Access<Peer>;
  templates: Templates;
  lettingIn: LettingIn;
  invites: Invites;
  welcomes: Welcomes;
  serverName: string;
}): Route[] => {
  const templateAnswer = ({ version, event }: Template) => ({ room_version: version, event: { ...event, origin: serverName } });

  const joinAnswer = async (joined: LetIn, omitMembers: boolean): Promise<string> => {
    const { state, authChain, servers } = await welcomes.afterJoin(joined, omitMembers);
    const hosts = servers === undefined ? '' : `,"servers_in_room":${JSON.stringify(servers)}`;
    return (
      `{"auth_chain":${pdusText(authChain)},"event":${joined.event.json},"members_omitted":${String(omitMembers)},` +
      `"origin":${JSON.stringify(serverName)}${hosts},"state":${pdusText(state)}}`
    );
  };

  /** As it was signed: numbers keep their text. */
  const inviteAnswer = (event: JsonObject): string => canonicalJson({ event }, 'any');

  return [
    route({
      method: 'GET',
      path: federationPath('v1', '/make_join/:roomId/:userId'),
      access: peer,
      query: Type.Object({ ver: Type.Optional(Versions) }),
      handle: async ({ caller, params, query: { ver = [...OLDEST] } }) =>
        templateAnswer(await templates.join(caller.origin, params.roomId, params.userId, ver)),
    }),
    route({
      method: 'PUT',
      path: federationPath('v1', '/send_join/:roomId/:eventId'),
      access: peer,
      handle: async ({ caller, params }) =>
        asList(await joinAnswer(await lettingIn.take(caller.origin, params.roomId, 'join', caller.content), false)),
    }),
    route({
      method: 'PUT',
      path: federationPath('v2', '/send_join/:roomId/:eventId'),
      access: peer,
      query: Type.Object({ omit_members: Type.Optional(Type.Boolean()) }),
      handle: async ({ caller, params, query: { omit_members: omitMembers = false } }) =>
        new RawJson(await joinAnswer(await lettingIn.take(caller.origin, params.roomId, 'join', caller.content), omitMembers)),
    }),
    route({
      method: 'GET',
      path: federationPath('v1', '/make_leave/:roomId/:userId'),
      access: peer,
      handle: async ({ caller, params }) => templateAnswer(await templates.leave(caller.origin, params.roomId, params.userId)),
    }),
    route({
      method: 'PUT',
      path: federationPath('v1', '/send_leave/:roomId/:eventId'),
      access: peer,
      handle: async ({ caller, params }) => {
        await lettingIn.take(caller.origin, params.roomId, 'leave', caller.content);
        return asList('{}');
      },
    }),
    route({
      method: 'PUT',
      path: federationPath('v2', '/send_leave/:roomId/:eventId'),
      access: peer,
      handle: async ({ caller, params }) => {
        await lettingIn.take(caller.origin, params.roomId, 'leave', caller.content);
        return {};
      },
    }),
    route({
      method: 'GET',
      path: federationPath('v1', '/make_knock/:roomId/:userId'),
      access: peer,
      query: Type.Object({ ver: Versions }),
      handle: async ({ caller, params, query: { ver } }) =>
        templateAnswer(await templates.knock(caller.origin, params.roomId, params.userId, ver)),
    }),
    route({
      method: 'PUT',
      path: federationPath('v1', '/send_knock/:roomId/:eventId'),
      access: peer,
      handle: async ({ caller, params }) => {
        const state = await welcomes.afterKnock(await lettingIn.take(caller.origin, params.roomId, 'knock', caller.content));
        return new RawJson(`{"knock_room_state":${pdusText(state)}}`);
      },
    }),
    route({
      method: 'PUT',
      path: federationPath('v1', '/invite/:roomId/:eventId'),
      access: peer,
      handle: async ({ caller: { origin, content }, params }) => {
        const told = isJsonObject(content?.unsigned) ? content.unsigned.invite_room_state : undefined;
        return asList(inviteAnswer(await invites.take(origin, { ...params, version: OLDEST[0], event: content, state: told })));
      },
    }),
    route({
      method: 'PUT',
      path: federationPath('v2', '/invite/:roomId/:eventId'),
      access: peer,
      handle: async ({ caller: { origin, content = {} }, params }) => {
        const { room_version: version, event, invite_room_state: state } = content;
        return new RawJson(inviteAnswer(await invites.take(origin, { ...params, version, event, state })));
      },
    }),
  ];
};
