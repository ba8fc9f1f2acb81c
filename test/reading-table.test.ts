// Every way of reading a room, by everybody who may stand somewhere to it, under every history visibility. What is expected is computed from the
// specification's rules (client-server API, "Room History Visibility") and a table of who was what when.

import assert from 'node:assert/strict';
import { ok, personOf, type Json, type Person, type Session } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';
import type { Server } from './support/server.ts';

type Visibility = 'world_readable' | 'shared' | 'invited' | 'joined';
type Membership = 'join' | 'invite' | 'leave' | 'ban' | undefined;

/** The history visibility while each of three messages was sent. */
const SETTINGS: readonly (readonly [Visibility, Visibility, Visibility])[] = [
  ['world_readable', 'world_readable', 'world_readable'],
  ['shared', 'shared', 'shared'],
  ['invited', 'invited', 'invited'],
  ['joined', 'joined', 'joined'],
  ['joined', 'shared', 'shared'],
  ['world_readable', 'joined', 'invited'],
  ['shared', 'invited', 'world_readable'],
];

/** What each reader was when each of the messages was sent. */
const READERS = {
  never: [undefined, undefined, undefined],
  guest: [undefined, undefined, undefined],
  invited: [undefined, 'invite', 'invite'],
  accepted: ['invite', 'invite', 'join'],
  early: ['join', 'join', 'join'],
  late: [undefined, undefined, 'join'],
  left: ['join', 'join', 'leave'],
  again: ['join', 'leave', 'join'],
  banned: ['join', 'join', 'ban'],
  forgotten: ['join', 'leave', 'leave'],
} as const satisfies Readonly<Record<string, readonly [Membership, Membership, Membership]>>;

type Name = keyof typeof READERS;

const NAMES = Object.keys(READERS) as Name[];
const MESSAGES = [0, 1, 2] as const;

interface Event {
  readonly type: string;
  readonly event_id: string;
  readonly state_key?: string;
  readonly content: Json;
}

interface Story {
  readonly settings: (typeof SETTINGS)[number];
  readonly roomId: string;
  readonly messages: readonly string[];
  /** A place in history at which the second message was the last event. */
  readonly second: string;
  readonly people: ReadonlyMap<Name, Person>;
}

const id = encodeURIComponent;

/** The five rules, for the message of this number. */
const maySee = (settings: Story['settings'], name: Name, index: 0 | 1 | 2): boolean => {
  const was: readonly Membership[] = READERS[name];
  if (settings[index] === 'world_readable') return true;
  if (was[index] === 'join') return true;
  if (settings[index] === 'shared' && was.slice(index + 1).includes('join')) return true;
  return settings[index] === 'invited' && was[index] === 'invite';
};

/** By what right somebody reads the room in the end: as who is in, who was in until before that message, or like all the world. */
const standing = (settings: Story['settings'], name: Name): 'in' | { readonly until: number } | 'peeks' | 'out' => {
  const was: readonly Membership[] = READERS[name];
  if (was[2] === 'join') return 'in';
  if ((was[2] === 'leave' || was[2] === 'ban') && name !== 'forgotten') return { until: was.lastIndexOf('join') + 1 };
  return settings[2] === 'world_readable' ? 'peeks' : 'out';
};

const joinedAt = (people: Story['people'], alice: Person, index: number): string[] =>
  [alice.userId, ...NAMES.flatMap((name) => (READERS[name][index] === 'join' ? [people.get(name)?.userId ?? ''] : []))].toSorted();

/** Brings a reader from what they were to what they are next. */
const move = async (alice: Person, person: Person, room: string, from: Membership, to: Membership): Promise<void> => {
  if (from === to) return;
  if (to === 'invite') ok(await alice.post(`${room}/invite`, { user_id: person.userId }));
  else if (to === 'join') ok(await person.post(`${room}/join`));
  else if (to === 'leave') ok(await person.post(`${room}/leave`));
  else ok(await alice.post(`${room}/ban`, { user_id: person.userId }));
};

const tell = async (alice: Person, people: Story['people'], settings: Story['settings']): Promise<Story> => {
  const initial_state = [{ type: 'm.room.history_visibility', content: { history_visibility: settings[0] } }];
  const { room_id: roomId } = ok(await alice.post<{ room_id: string }>('/createRoom', { preset: 'public_chat', initial_state }));
  const room = `/rooms/${id(roomId)}`;
  const messages: string[] = [];
  let second = '';
  for (const index of MESSAGES) {
    const setting = settings[index];
    if (setting !== settings[Math.max(0, index - 1)])
      ok(await alice.put(`${room}/state/m.room.history_visibility`, { history_visibility: setting }));
    for (const [name, person] of people) await move(alice, person, room, READERS[name][index - 1], READERS[name][index]);
    ok(await alice.put(`${room}/state/org.example.phase`, { phase: index }));
    const sent = await alice.put<{ event_id: string }>(`${room}/send/org.example.message/${id(roomId)}${String(index)}`, { n: index });
    messages.push(ok(sent).event_id);
    if (index === 1) second = ok(await alice.get<{ next_batch: string }>('/sync?timeout=0')).next_batch;
  }
  const forgetting = people.get('forgotten') as Person;
  ok(await forgetting.post(`${room}/forget`));
  return { settings, roomId, messages, second, people };
};

const numbersOf = (events: readonly Event[] | undefined): unknown[] =>
  (events ?? []).flatMap((event) => (event.type === 'org.example.message' ? [event.content['n']] : [])).toSorted();

/** All that one reader is answered about a room. */
const read = async (person: Person, { roomId, messages, second }: Story) => {
  const room = `/rooms/${id(roomId)}`;
  const get = async <Body>(path: string) => {
    const { status, body } = await person.get<Body>(`${room}/${path}`);
    return { status, body };
  };
  const chunk = async (direction: 'b' | 'f') => {
    const { status, body } = await get<{ chunk?: Event[] }>(`messages?dir=${direction}&limit=100`);
    return status === 200 ? numbersOf(body.chunk) : status;
  };
  const phase = (events: readonly Event[] | undefined): unknown =>
    events?.find((event) => event.type === 'org.example.phase')?.content['phase'];
  const members = await get<{ chunk?: Event[] }>(`members?at=${id(second)}&membership=join`);
  const joined = await get<{ joined?: Json }>('joined_members');
  const state = await get<Event[]>('state');
  const one = await get<Json>('state/org.example.phase/');
  const filter = { room: { include_leave: true, timeline: { limit: 100 } } };
  type Room = { timeline?: { events: Event[] } };
  type Sync = { rooms?: Readonly<Record<string, Readonly<Record<string, Room>>>> };
  // With the state before it, a timeline begins later where the reader may not see what took the place of the state that it tells.
  const { rooms = {} } = ok(await person.get<Sync>(`/sync?timeout=0&use_state_after=true&filter=${id(JSON.stringify(filter))}`));
  const section = Object.keys(rooms).find((name) => rooms[name]?.[roomId] !== undefined);
  const contexts = await Promise.all(
    messages.map(async (eventId) => {
      const { status, body } = await get<{ event?: Event; events_before?: Event[]; events_after?: Event[] }>(
        `context/${id(eventId)}?limit=100`,
      );
      return status === 200 ? numbersOf([...(body.events_before ?? []), body.event as Event, ...(body.events_after ?? [])]) : status;
    }),
  );
  return {
    backwards: await chunk('b'),
    forwards: await chunk('f'),
    events: await Promise.all(messages.map(async (eventId) => (await get(`event/${id(eventId)}`)).status)),
    contexts,
    members: members.status === 200 ? members.body.chunk?.map((event) => event.state_key).toSorted() : members.status,
    joined: joined.status === 200 ? Object.keys(joined.body.joined ?? {}).toSorted() : joined.status,
    state: state.status === 200 ? phase(state.body) : state.status,
    one: one.status === 200 ? one.body['phase'] : one.status,
    aliases: (await get('aliases')).status,
    sync: section === undefined ? undefined : [section, numbersOf(rooms[section]?.[roomId]?.timeline?.events)],
  };
};

const expected = ({ settings, people }: Story, name: Name, alice: Person): Awaited<ReturnType<typeof read>> => {
  const by = standing(settings, name);
  const seen = MESSAGES.filter((index) => maySee(settings, name, index));
  const until = typeof by === 'object' ? by.until : 3;
  const kept = seen.filter((index) => index < until);
  const isOut = by === 'out';
  // The members at the second message are read by who may read that message, and by who was invited then unless only who was in may know.
  const was: Membership = READERS[name][1];
  const isOpen = settings[1] === 'world_readable' || (settings[1] === 'shared' && by === 'in');
  const mayAskMembers = !isOut && (isOpen || was === 'join' || (was === 'invite' && settings[1] !== 'joined'));
  const section = { in: 'join', peeks: undefined, out: undefined }[typeof by === 'object' ? 'out' : by];
  const place = typeof by === 'object' ? 'leave' : READERS[name][2] === 'invite' ? 'invite' : section;
  return {
    backwards: isOut ? 403 : kept,
    forwards: isOut ? 403 : seen,
    events: MESSAGES.map((index) => (!isOut && seen.includes(index) ? 200 : 404)),
    contexts: MESSAGES.map((index) => (isOut || !seen.includes(index) ? 403 : seen)),
    members: mayAskMembers ? joinedAt(people, alice, 1) : 403,
    joined: by === 'in' ? joinedAt(people, alice, 2) : 403,
    state: isOut ? 403 : Math.min(2, until - 1),
    one: isOut ? 403 : Math.min(2, until - 1),
    aliases: name !== 'guest' && (by === 'in' || settings[2] === 'world_readable') ? 200 : 403,
    sync: place === undefined ? undefined : [place, place === 'invite' ? [] : kept],
  };
};

const registerAll = async (server: Server): Promise<ReadonlyMap<Name, Person>> => {
  const people = new Map<Name, Person>();
  for (const name of NAMES) {
    const isGuest = name === 'guest';
    const guest = async (): Promise<Person> => personOf(server.pool, ok(await server.anybody.post<Session>('/register?kind=guest', {})));
    people.set(name, isGuest ? await guest() : await server.register(name));
  }
  return people;
};

onEachEngine('everybody reads what the history visibility lets them read, by every way', async (startOnEngine) => {
  await using server = await startOnEngine({ settings: { allow_guest_access: true } });
  const alice = await server.register('alice');
  const people = await registerAll(server);
  const stories: Story[] = [];
  for (const settings of SETTINGS) stories.push(await tell(alice, people, settings));
  const check = async (): Promise<void> => {
    const found: Record<string, unknown> = {};
    const wanted: Record<string, unknown> = {};
    for (const story of stories) {
      for (const [name, person] of people) {
        const label = `${name}, ${story.settings.join(', ')}`;
        found[label] = await read(person, story);
        wanted[label] = expected(story, name, alice);
      }
    }
    assert.deepEqual(found, wanted);
  };
  await check();
  await server.stop();
  await server.start();
  await check();
});
