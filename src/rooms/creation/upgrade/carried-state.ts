import { domainOf } from '#src/protocol/identifiers.ts';
import type { JsonObject, JsonValue } from '#src/protocol/json.ts';
import type { NewEvent, RoomDraft, RoomEvent, RoomGraph } from '#src/rooms/graph/index.ts';
import { shownPdu } from '#src/rooms/history/index.ts';
import type { RoomRequest } from '#src/rooms/creation/plan.ts';

/** What a room takes with it beside its power levels, as Synapse has it. */
const CARRIED = [
  'm.room.join_rules',
  'm.room.name',
  'm.room.topic',
  'm.room.history_visibility',
  'm.room.guest_access',
  'm.room.avatar',
  'm.room.encryption',
  'm.room.server_acl',
];
const CHILD = 'm.space.child';

type InitialState = NonNullable<RoomRequest['initial_state']>;

/** The state with which a room's successor begins, without power levels; of a space also which rooms are in it. */
export const carriedState = async (
  graph: Pick<RoomGraph, 'currentRoot' | 'states' | 'stateEvents'>,
  draft: RoomDraft,
  create: JsonObject,
): Promise<InitialState> => {
  const { room, version } = draft;
  const state: InitialState[number][] = [];
  const carry = async (type: string, stateKey: string): Promise<void> => {
    const event = await draft.state(type, stateKey);
    if (event === undefined) return;
    const { content } = shownPdu(event, version);
    // A child without content has been taken out of the space.
    if (type === CHILD && Object.keys(content).length === 0) return;
    state.push({ type, state_key: stateKey, content });
  };
  for (const type of CARRIED) await carry(type, '');
  if (create.type !== 'm.space') return state;
  for (const { pdu } of await graph.stateEvents(room, await graph.currentRoot(room), CHILD)) await carry(CHILD, pdu.state_key ?? '');
  return state;
};

/** The bans of a room, as the sender's in another. */
export const carriedBans = async (
  graph: Pick<RoomGraph, 'memberships' | 'events'>,
  { room, version }: Pick<RoomDraft, 'room' | 'version'>,
  sender: string,
): Promise<NewEvent[]> => {
  const rows = await graph.memberships.having(room.num, 'ban');
  const events = await graph.events.list(rows.map((row) => row.eventNum));
  const banOf = (event: RoomEvent): NewEvent => ({
    sender,
    type: 'm.room.member',
    stateKey: event.pdu.state_key ?? '',
    content: shownPdu(event, version).content,
  });
  return events.map(banOf);
};

const listOf = (value: JsonValue | undefined): readonly JsonValue[] => (Array.isArray(value) ? (value as readonly JsonValue[]) : []);

/**
 * A canonical alias event's content parted in two: what stays with the replaced room, which are aliases of other servers, and what goes to its successor, of
 * this server's those that stand for the room.
 */
export const partedAliases = (
  content: JsonObject,
  serverName: string,
  standing: ReadonlySet<JsonValue>,
): { readonly left: JsonObject; readonly taken: JsonObject } => {
  const isOwn = (alias: JsonValue | undefined): boolean => typeof alias === 'string' && domainOf(alias) === serverName;
  const { alias, alt_aliases: others, ...rest } = content;
  const stay = listOf(others).filter((each) => !isOwn(each));
  const go = listOf(others).filter((each) => isOwn(each) && standing.has(each));
  return {
    left: {
      ...rest,
      ...(alias === undefined || isOwn(alias) ? {} : { alias }),
      ...(stay.length === 0 ? {} : { alt_aliases: stay }),
    },
    taken: {
      ...(isOwn(alias) && standing.has(alias as JsonValue) ? { alias: alias as JsonValue } : {}),
      ...(go.length === 0 ? {} : { alt_aliases: go }),
    },
  };
};
