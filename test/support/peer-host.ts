import { text } from 'node:stream/consumers';
import { parsePdu } from '#src/protocol/events.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import type { Json } from './client.ts';
import { member } from './new-events.ts';
import type { PeerRoom } from './peer-room.ts';
import type { Step } from './remote-user.ts';
import { json, type ScriptedPeer } from './scripted-peer.ts';

const FEDERATION = '/_matrix/federation';

/** An answer of a scripted server, or a status with an error. */
type Changed = Json | { readonly status: number; readonly body: Json };

/** What a test wants otherwise than a server does it that keeps to the rules. */
export interface HostScript {
  /** The template, from what would be right. */
  readonly template?: (right: Json, userId: string) => Changed;
  /** Called when the completed event has come, before it is answered. */
  readonly onEvent?: (event: JsonObject) => Promise<void> | void;
  /** The answer to the completed event, from what would be right. */
  readonly answer?: (right: Json, event: JsonObject) => Changed;
  /** Does not know the second version of the endpoint. */
  readonly isOld?: boolean;
}

const isError = (value: Changed): value is { status: number; body: Json } => typeof (value as Json)['status'] === 'number';

const respondWith = (value: Changed): ReturnType<typeof json> => (isError(value) ? json(value.body, value.status) : json(value));

/** A refusal with an error. */
export const refusal = (status: number, errcode: string, fields: Json = {}): Changed => ({
  status,
  body: { errcode, error: `scripted ${errcode}`, ...fields },
});

/** Lets users of homeservers take a step in a room of a scripted server, by the test's own rules. */
export const hostRoom = (peer: ScriptedPeer, room: PeerRoom, step: Step = 'join', script: HostScript = {}): void => {
  const version = roomVersion(room.version);
  const parsed = ({ json: one }: { json: string }): JsonObject => JSON.parse(one) as JsonObject;
  const path = (which: 'v1' | 'v2', kind: string): string => `${FEDERATION}/${which}/${kind}_${step}/${encodeURIComponent(room.roomId)}/`;

  peer.on(path('v1', 'make'), (request, response) => {
    const userId = decodeURIComponent((request.url ?? '').replace(/\?.*/, '').split('/').at(-1) ?? '');
    const right = { room_version: room.version, event: { ...room.template(member(userId, userId, step)), origin: peer.name } };
    respondWith(script.template?.(right, userId) ?? right)(request, response);
  });

  const takeEvent =
    (isInList: boolean): Parameters<ScriptedPeer['on']>[1] =>
    (request, response) => {
      const take = async (): Promise<void> => {
        const body = JSON.parse(await text(request)) as JsonObject;
        const state = room.state();
        const answers: Record<Step, Json> = {
          join: {
            origin: peer.name,
            members_omitted: false,
            state: state.map(parsed),
            auth_chain: room.events.filter(({ pdu }) => pdu.state_key !== undefined).map(parsed),
            event: body,
          },
          leave: {},
          knock: { knock_room_state: state.filter(({ pdu }) => pdu.type !== 'm.room.member').map(parsed) },
        };
        room.take(parsePdu(body, version));
        await script.onEvent?.(body);
        const answer = script.answer?.(answers[step], body) ?? answers[step];
        (isError(answer) ? respondWith(answer) : json(isInList ? [200, answer] : answer))(request, response);
      };
      take().catch((error: unknown) => response.destroy(error as Error));
    };
  if (step === 'knock') peer.on(path('v1', 'send'), takeEvent(false));
  else peer.on(path('v1', 'send'), takeEvent(true));
  if (step !== 'knock' && script.isOld !== true) peer.on(path('v2', 'send'), takeEvent(false));
};
