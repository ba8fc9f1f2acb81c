import { authStateOf, authTypesFor, checkAuth, checkAuthEvents, stateKeyText } from '#src/protocol/auth-rules/index.ts';
import { authEventIds, type ParsedEvent } from '#src/protocol/events.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { Conflict, ResolutionEvent } from '#src/protocol/state-resolution/index.ts';
import { authDifference, conflictedSubgraph, resolveState } from '#src/protocol/state-resolution/index.ts';
import { ALICE, BOB, CAROL, type EventFields, eventText, makeEvent } from './events.ts';
import type { Step } from './steps.ts';
import type { Attempt, Synapse } from './synapse.ts';

/** A room state, as the ids of its events. */
type State = readonly string[];

interface KnownEvent extends ParsedEvent, ResolutionEvent {}

interface Node {
  readonly eventId: string;
  readonly after: State;
}

const keyOf = ({ pdu }: Pick<ParsedEvent, 'pdu'>): string => stateKeyText(pdu.type, pdu.state_key!);

/** What is to be put into a history without being judged. */
type Put = Pick<EventFields, 'type' | 'stateKey' | 'sender' | 'content'> & { readonly rejected?: boolean };

/** A room's history, made up step by step, judged and resolved here and by Synapse. Each method throws `Error` where the two disagree. */
export interface History {
  /** The state after the room's first events: create, Alice, levels, public join rules, Bob, Carol. */
  readonly start: State;
  readonly counts: Readonly<Record<'accepted' | 'rejected' | 'resolved' | 'conflicts', number>>;
  take(step: Step): Promise<void>;
  resolveTips(): Promise<void>;
  put(event: Put): Promise<string>;
  resolve(sets: readonly State[]): Promise<{ readonly ours: State; readonly theirs: State }>;
}

/** Resolves whole states as the specification defines it on them. */
const resolveHere = async (sets: readonly State[], events: ReadonlyMap<string, KnownEvent>, version: RoomVersion): Promise<State> => {
  const maps = sets.map((set) => new Map(set.map((eventId) => [keyOf(events.get(eventId)!), eventId])));
  const keys = [...new Set(maps.flatMap((map) => [...map.keys()]))];
  const agreed = new Map(keys.filter((key) => new Set(maps.map((map) => map.get(key))).size === 1).map((key) => [key, maps[0]!.get(key)!]));
  const conflicts = keys
    .filter((key) => !agreed.has(key))
    .map((key): Conflict => {
      const eventIds = [...new Set(maps.flatMap((map) => map.get(key) ?? []))];
      const { type, state_key: stateKey } = events.get(eventIds[0]!)!.pdu;
      return { type, stateKey: stateKey!, eventIds };
    });
  const loadEvents = async (eventIds: readonly string[]) =>
    new Map(eventIds.flatMap((eventId) => (events.has(eventId) ? [[eventId, events.get(eventId)!] as const] : [])));
  const resolved = await resolveState({
    version,
    conflicts,
    unconflicted: async (type, stateKey) => agreed.get(stateKeyText(type, stateKey)),
    authDifference: await authDifference(sets, loadEvents),
    conflictedSubgraph: await conflictedSubgraph(
      conflicts.flatMap(({ eventIds }) => eventIds),
      loadEvents,
    ),
    loadEvents,
  });
  return [...agreed.values(), ...resolved.flatMap(({ eventId }) => eventId ?? [])].toSorted();
};

/** Opens a room of this version on both sides. */
export const compareHistories = async (synapse: Synapse, version: RoomVersion): Promise<History> => {
  const events = new Map<string, KnownEvent>();
  const nodes: Node[] = [];
  const counts = { accepted: 0, rejected: 0, resolved: 0, conflicts: 0 };
  await synapse.ask('open', { version: version.id });

  const describeRoom = (): string =>
    [...events.values()].map(({ eventId, json, rejected }) => `${eventId}${rejected ? ' rejected' : ''} ${json}`).join('\n');

  const resolve: History['resolve'] = async (sets) => {
    const ours = await resolveHere(sets, events, version);
    const { state: theirs } = await synapse.ask<{ readonly state: State }>('resolve', { sets });
    return { ours, theirs };
  };

  const stateOf = async (sets: readonly State[]): Promise<State> => {
    const different = [...new Map(sets.map((set) => [set.join(), set])).values()];
    if (different.length === 1) return different[0]!;
    const { ours, theirs } = await resolve(different);
    counts.resolved += 1;
    if (!different.some((set) => set.join() === ours.join())) counts.conflicts += 1;
    if (ours.join() === theirs.join()) return ours;
    throw new Error(
      `version ${version.id}\nMyelin: ${ours.join(' ')}\nSynapse: ${theirs.join(' ')}\n${JSON.stringify(different)}\n${describeRoom()}`,
    );
  };

  const eventsOf = (state: State): KnownEvent[] => state.map((eventId) => events.get(eventId)!);

  const roomId = (): string =>
    version.roomIds === 'create-event' && nodes.length > 0 ? events.get(nodes[0]!.eventId)!.roomId : '!room:one';

  const fieldsFor = (event: Put, previous: readonly string[], authState: State, ts: number): EventFields => {
    const wanted = new Set(authTypesFor({ ...event, state_key: event.stateKey! }, version).map(([type, key]) => stateKeyText(type, key)));
    return {
      type: event.type,
      stateKey: event.stateKey,
      sender: event.sender,
      content: event.content,
      roomId: roomId(),
      prevEvents: previous,
      authEvents: eventsOf(authState).flatMap((cited) => (wanted.has(keyOf(cited)) ? [cited.eventId] : [])),
      ts,
      depth: previous.length === 0 ? 1 : Math.max(...previous.map((id) => Number(events.get(id)!.pdu.depth))) + 1,
      name: `e${String(events.size)}`,
    };
  };

  const isAllowed = (event: ParsedEvent, before: State): boolean => {
    const cited = eventsOf(authEventIds(event.pdu));
    if (!checkAuthEvents(event, cited, version).allowed) return false;
    const create = nodes.length > 0 ? [events.get(nodes[0]!.eventId)!] : [];
    return (
      checkAuth(event.pdu, authStateOf([...create, ...cited]), version).allowed &&
      checkAuth(event.pdu, authStateOf([...create, ...eventsOf(before)]), version).allowed
    );
  };

  const append = async (event: Put, parents: readonly Node[], authState: State | undefined, ts: number): Promise<void> => {
    const before = parents.length === 0 ? [] : await stateOf(parents.map(({ after }) => after));
    const fields = fieldsFor(event, [...new Set(parents.map(({ eventId }) => eventId))], authState ?? before, ts);
    const made = makeEvent(fields, version);
    if (events.has(made.eventId)) return;
    const allowed = isAllowed(made, before);
    const theirs = await synapse.ask<Attempt & { readonly eventId: string }>('add', { text: eventText(fields, version), state: before });
    events.set(made.eventId, { ...made, rejected: !allowed });
    if (theirs.eventId !== made.eventId || (theirs.ok !== undefined) !== allowed)
      throw new Error(
        `version ${version.id}: ${made.json}\nMyelin: ${String(allowed)}\nSynapse: ${JSON.stringify(theirs)}\n${describeRoom()}`,
      );
    counts[allowed ? 'accepted' : 'rejected'] += 1;
    const key = keyOf(made);
    const after = allowed ? [...before.filter((eventId) => keyOf(events.get(eventId)!) !== key), made.eventId].toSorted() : before;
    if (allowed) nodes.push({ eventId: made.eventId, after });
  };

  const creation = version.creator === 'content' ? { creator: ALICE, room_version: version.id } : { room_version: version.id };
  const users = version.privilegedCreators ? { [BOB]: 50 } : { [ALICE]: 100, [BOB]: 50 };
  const join = (user: string): Put => ({ type: 'm.room.member', stateKey: user, sender: user, content: { membership: 'join' } });
  const first: readonly Put[] = [
    { type: 'm.room.create', stateKey: '', sender: ALICE, content: creation },
    join(ALICE),
    { type: 'm.room.power_levels', stateKey: '', sender: ALICE, content: { users } },
    { type: 'm.room.join_rules', stateKey: '', sender: ALICE, content: { join_rule: 'public' } },
    join(BOB),
    join(CAROL),
  ];
  for (const [index, event] of first.entries()) await append(event, nodes.slice(-1), undefined, index);
  const { after: start } = nodes.at(-1)!;

  const node = (index: number): Node => nodes[nodes.length - 1 - (index % Math.max(1, nodes.length - first.length + 1))]!;
  return {
    start,
    counts,
    resolve,
    take: async (step) =>
      append(step, step.parents.map(node), step.staleAuth === undefined ? undefined : node(step.staleAuth).after, step.ts),
    resolveTips: async () => void (await stateOf(nodes.slice(first.length - 1).map(({ after }) => after))),
    put: async ({ rejected = false, ...event }) => {
      const fields = fieldsFor(event, [nodes.at(-1)!.eventId], start, 50);
      const made = makeEvent(fields, version);
      await synapse.ask('add', { text: eventText(fields, version), state: start, rejected });
      events.set(made.eventId, { ...made, rejected });
      return made.eventId;
    },
  };
};
