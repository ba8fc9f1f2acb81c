import type { StateKey } from '#src/protocol/auth-rules/index.ts';
import { authTypesFor, checkAuth, stateKeyText } from '#src/protocol/auth-rules/index.ts';
import type { Pdu } from '#src/protocol/events.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { ROOM_VERSIONS } from '#src/protocol/room-versions.ts';
import type { Conflict, LoadEvents, ResolutionEvent } from '#src/protocol/state-resolution/index.ts';
import { authDifference, conflictedSubgraph, resolveState } from '#src/protocol/state-resolution/index.ts';

export const [ALICE, BOB, CAROL] = ['@alice:one', '@bob:two', '@carol:three'] as const;

/** A room state: event ids by `stateKeyText`. */
export type State = ReadonlyMap<string, string>;

/** A room whose history forks; every event stands on a state and is dropped if that does not authorise it. */
export interface TestRoom {
  readonly events: ReadonlyMap<string, ResolutionEvent>;
  readonly loadEvents: LoadEvents;
  /** The state after create, Alice's join, levels (Alice 100, Bob 50), public join rules and Bob's join. */
  readonly start: State;
  /** The state with one more event, or the same when the rules refuse it. `id` names the event and must be new. */
  add(state: State, id: string, sender: string, type: string, stateKey: string, content: JsonObject, options?: AddOptions): State;
  /** Resolves states as the specification defines it on whole states; answers whole states, too. */
  resolve(...states: readonly State[]): Promise<State>;
}

interface AddOptions {
  /** `origin_server_ts`; by default later than all before. */
  readonly at?: number;
  readonly rejected?: boolean;
  readonly depth?: number;
}

const keysOf = (states: readonly State[]): string[] => [...new Set(states.flatMap((state) => [...state.keys()]))];

const isAgreed = (key: string, states: readonly State[]): boolean => new Set(states.map((state) => state.get(key))).size === 1;

const splitKey = (events: ReadonlyMap<string, ResolutionEvent>, eventIds: readonly string[]): StateKey => {
  const { pdu } = events.get(eventIds[0]!)!;
  return [pdu.type, pdu.state_key!];
};

const createHistory = (id: string, events: Map<string, ResolutionEvent>): TestRoom['add'] => {
  const version = ROOM_VERSIONS.get(id)!;
  return (state, eventName, sender, type, stateKey, content, { at = events.size + 1, rejected = false, depth = events.size + 1 } = {}) => {
    const isCreate = type === 'm.room.create';
    const lookUp = (...[wanted, key]: StateKey): ResolutionEvent | undefined => events.get(state.get(stateKeyText(wanted, key)) ?? '');
    const basis = { type, state_key: stateKey, sender, content };
    const pdu = {
      ...basis,
      ...(id === '12' ? (isCreate ? {} : { room_id: '!create' }) : { room_id: '!room:one' }),
      prev_events: isCreate ? [] : [[...events.keys()].at(-1)!],
      auth_events: authTypesFor(basis, version).flatMap(([wanted, key]) => lookUp(wanted, key)?.eventId ?? []),
      origin_server_ts: at,
      depth,
    } as unknown as Pdu;
    if (!checkAuth(pdu, lookUp, version).allowed) return state;
    const eventId = `$${eventName}`;
    events.set(eventId, { eventId, pdu, rejected });
    return new Map([...state, [stateKeyText(type, stateKey), eventId]]);
  };
};

const resolver =
  (id: string, events: ReadonlyMap<string, ResolutionEvent>, loadEvents: LoadEvents): TestRoom['resolve'] =>
  async (...states) => {
    const agreed = new Map([...states[0]!].filter(([key]) => isAgreed(key, states)));
    const conflicts = keysOf(states)
      .filter((key) => !agreed.has(key))
      .map((key): Conflict => {
        const eventIds = states.flatMap((state) => state.get(key) ?? []);
        const [type, stateKey] = splitKey(events, eventIds);
        return { type, stateKey, eventIds: [...new Set(eventIds)] };
      });
    const resolved = await resolveState({
      version: ROOM_VERSIONS.get(id)!,
      conflicts,
      unconflicted: (type, stateKey) => Promise.resolve(agreed.get(stateKeyText(type, stateKey))),
      authDifference: await authDifference(
        states.map((state) => state.values()),
        loadEvents,
      ),
      conflictedSubgraph: await conflictedSubgraph(
        conflicts.flatMap(({ eventIds }) => eventIds),
        loadEvents,
      ),
      loadEvents,
    });
    const found = resolved.flatMap(({ type, stateKey, eventId }): [string, string][] =>
      eventId === undefined ? [] : [[stateKeyText(type, stateKey), eventId]],
    );
    return new Map([...agreed, ...found]);
  };

/** A room of this version to fork; in versions before 12 Alice has level 100, in 12 she stands above all levels. */
export const createTestRoom = (id: string): TestRoom => {
  const events = new Map<string, ResolutionEvent>();
  const loadEvents: LoadEvents = (eventIds) =>
    Promise.resolve(new Map(eventIds.flatMap((eventId) => (events.has(eventId) ? [[eventId, events.get(eventId)!]] : []))));
  const add = createHistory(id, events);
  let start: State = new Map();
  start = add(start, 'create', ALICE, 'm.room.create', '', Number(id) < 11 ? { room_version: id, creator: ALICE } : { room_version: id });
  start = add(start, 'alice', ALICE, 'm.room.member', ALICE, { membership: 'join' });
  start = add(start, 'levels', ALICE, 'm.room.power_levels', '', { users: id === '12' ? { [BOB]: 50 } : { [ALICE]: 100, [BOB]: 50 } });
  start = add(start, 'rules', ALICE, 'm.room.join_rules', '', { join_rule: 'public' });
  start = add(start, 'bob', BOB, 'm.room.member', BOB, { membership: 'join' });
  return { events, loadEvents, start, add, resolve: resolver(id, events, loadEvents) };
};

/** The id under a key, `undefined` where there is none. */
export const at = (state: State, type: string, stateKey = ''): string | undefined => state.get(stateKeyText(type, stateKey));
