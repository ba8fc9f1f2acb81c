// Random stories: clients that know only what each `/sync` has told them know at the end what a fresh reading of the server says.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { ok, personOf, type Json, type Person, type Reply, type Session } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';
import type { Server } from './support/server.ts';
import { createSyncClient, type SyncClient, type Way } from './support/sync-client.ts';
import { checkBeliefs, readFresh } from './support/sync-oracle.ts';
import { playStories } from './support/stories.ts';

const STORIES = 10;
const PEOPLE = 4;
const ROOMS = 3;

const MODEL = 'org.example.model';
const WAYS: readonly Way[] = [
  {},
  { stateAfter: true },
  { timeline: { limit: 5 }, state: { lazy_load_members: true } },
  { stateAfter: true, timeline: { limit: 3 }, state: { lazy_load_members: true, include_redundant_members: true } },
  { timeline: { limit: 2, unread_thread_notifications: true } },
  { timeline: { not_types: [MODEL, 'm.room.message', 'm.room.name'] } },
  { timeline: { limit: 4, types: ['m.room.message'] }, state: { lazy_load_members: true } },
  { timeline: { limit: 3, unread_thread_notifications: true }, state: { not_types: [MODEL] } },
  { timeline: { limit: 0 } },
];

/** Whose turns may overlap with others'. */
const ACTS = ['say', 'say', 'say', 'burst', 'burst', 'state', 'state', 'state', 'topic', 'name', 'thread', 'thread', 'visibility'] as const;
const MOVES = ['join', 'join', 'leave', 'invite', 'invite', 'kick', 'ban', 'unban', 'knock', 'redact', 'profile'] as const;
const OWN = ['read', 'read', 'readThread', 'fullyRead', 'typing', 'tag', 'untag', 'data', 'roomData', 'mute'] as const;
const TOGETHER = [...ACTS, ...MOVES, ...OWN, 'sync', 'sync', 'sync', 'sync'] as const;
const ALONE = ['again', 'back', 'full', 'check', 'check', 'forget', 'restart', 'kill'] as const;

const step = fc.record({
  verb: fc.constantFrom(...TOGETHER, ...ALONE),
  who: fc.nat(PEOPLE - 1),
  whom: fc.nat(PEOPLE - 1),
  where: fc.nat(ROOMS - 1),
  value: fc.nat(3),
  /** Whether it happens at the same time as the step before. */
  isOverlapping: fc.boolean(),
});
type Step = ReturnType<typeof step.generate>['value'];

interface World {
  readonly server: Server;
  readonly people: readonly Person[];
  readonly rooms: readonly string[];
  readonly clients: readonly SyncClient[];
  /** Rooms that each user has forgotten. */
  readonly forgotten: ReadonlyMap<string, Set<string>>;
}

const enc = encodeURIComponent;

const check = async ({ people, clients, forgotten }: World, whose: (userId: string) => boolean): Promise<void> => {
  for (const person of people.filter(({ userId }) => whose(userId))) {
    const fresh = await readFresh(async (path) => ok(await person.get(path)));
    for (const client of clients.filter(({ userId }) => userId === person.userId))
      checkBeliefs(client, fresh, { forgotten: forgotten.get(person.userId) as Set<string> });
  }
};

interface Read {
  readonly event_id: string;
  readonly type: string;
  readonly content: Json;
}

/** Waits until somebody's rooms have the new name, which they get after the request that changed it. */
const untilCarried = async (person: Person, rooms: readonly string[], displayname: string): Promise<void> => {
  for (const roomId of rooms) {
    for (let tries = 0; ; tries++) {
      const { body } = await person.get(`/rooms/${enc(roomId)}/state/m.room.member/${enc(person.userId)}`);
      if (body['membership'] !== 'join' || body['displayname'] === displayname) break;
      assert.ok(tries < 500, `${person.userId} is called otherwise in ${roomId}`);
      await sleep(10);
    }
  }
};

/** One step of a story. What the rules forbid is refused, and changes nothing. */
const play = async (world: World, { verb, who, whom, where, value }: Step, number: number): Promise<void> => {
  const { server, people, rooms, forgotten } = world;
  const [person, other, roomId] = [people[who], people[whom], rooms[where]] as [Person, Person, string];
  const room = `/rooms/${enc(roomId)}`;
  const own = `/user/${enc(person.userId)}`;
  const clients = world.clients.filter(({ userId }) => userId === person.userId);
  const isOwn = (userId: string): boolean => userId === person.userId;
  const rejoin = (userId: string, { status }: Reply<unknown>): void => {
    if (status === 200) forgotten.get(userId)?.delete(roomId);
  };
  const say = async (index: number, more: Json = {}): Promise<unknown> =>
    person.put(`${room}/send/m.room.message/${String(number)}-${String(index)}`, {
      msgtype: 'm.text',
      body: `hello ${other.userId}`,
      'm.mentions': { user_ids: value === 0 ? [other.userId] : [] },
      ...more,
    });
  const newest = async (): Promise<Read[]> => (await person.get<{ chunk?: Read[] }>(`${room}/messages?dir=b&limit=8`)).body.chunk ?? [];
  const rootOf = (event: Read | undefined): string | undefined => {
    const relation = event?.content['m.relates_to'] as { event_id?: string } | undefined;
    return relation?.event_id ?? event?.event_id;
  };
  const state = async (type: string, key: string, content: Json): Promise<unknown> =>
    person.put(`${room}/state/${type}${key === '' ? '' : `/${key}`}`, content);
  const membership = async (): Promise<void> => rejoin(other.userId, await person.post(`${room}/${verb}`, { user_id: other.userId }));
  const receipt = async (eventId: string | undefined, body: Json = {}): Promise<void> => {
    if (eventId !== undefined) await person.post(`${room}/receipt/${value > 1 ? 'm.read' : 'm.read.private'}/${enc(eventId)}`, body);
  };
  const syncAll = async (how?: Parameters<SyncClient['sync']>[0]): Promise<void> => {
    for (const client of clients) await client.sync(how);
  };
  const restart = async (end: () => Promise<void>): Promise<void> => {
    if (value > 0) return;
    await end();
    await server.start();
    for (const client of world.clients) client.forgetTyping();
  };

  const verbs: Record<Step['verb'], () => Promise<unknown>> = {
    say: async () => say(0),
    burst: async () => {
      for (let index = 0; index < 12; index++) await say(index);
    },
    thread: async () => {
      const root = rootOf((await newest()).findLast(({ type }) => type === 'm.room.message'));
      if (root !== undefined) await say(0, { 'm.relates_to': { rel_type: 'm.thread', event_id: root } });
    },
    state: async () => state(MODEL, String(value), { number }),
    topic: async () => state('m.room.topic', '', { topic: `topic ${String(value)}` }),
    name: async () => state('m.room.name', '', value > 1 ? { name: `name ${String(value)}` } : {}),
    visibility: async () =>
      state('m.room.history_visibility', '', { history_visibility: ['shared', 'joined', 'invited', 'world_readable'][value] }),
    join: async () => rejoin(person.userId, await person.post(`${room}/join`)),
    leave: async () => person.post(`${room}/leave`),
    invite: membership,
    kick: membership,
    ban: membership,
    unban: membership,
    knock: async () => rejoin(person.userId, await person.post(`/knock/${enc(roomId)}`)),
    redact: async () => {
      // What is redacted of the state that is shown to those outside is not told to them again.
      const event = (await newest()).filter(({ type }) => [MODEL, 'm.room.message'].includes(type))[value];
      if (event !== undefined) await person.put(`${room}/redact/${enc(event.event_id)}/r${String(number)}`, {});
    },
    profile: async () => {
      const displayname = `name ${String(value)}`;
      await person.put(`/profile/${enc(person.userId)}/displayname`, { displayname });
      await untilCarried(person, rooms, displayname);
    },
    read: async () => receipt((await newest())[value]?.event_id),
    readThread: async () => {
      const event = (await newest()).find(({ content }) => content['m.relates_to'] !== undefined);
      await receipt(event?.event_id, { thread_id: rootOf(event) });
    },
    fullyRead: async () => person.post(`${room}/read_markers`, { 'm.fully_read': (await newest())[value]?.event_id }),
    typing: async () => person.put(`${room}/typing/${enc(person.userId)}`, { typing: value > 1, timeout: 120_000 }),
    tag: async () => person.put(`${own}${room}/tags/u.${String(value)}`, { order: number / 1000 }),
    untag: async () => person.delete(`${own}${room}/tags/u.${String(value)}`),
    data: async () => person.put(`${own}/account_data/org.example.${String(value)}`, { number }),
    roomData: async () => person.put(`${own}${room}/account_data/org.example.${String(value)}`, { number }),
    mute: async () =>
      value > 1
        ? person.put(`/pushrules/global/room/${enc(roomId)}`, { actions: value === 2 ? [] : ['notify', { set_tweak: 'highlight' }] })
        : person.delete(`/pushrules/global/room/${enc(roomId)}`),
    forget: async () => {
      const { status } = await person.post(`${room}/forget`);
      if (status !== 200) return;
      forgotten.get(person.userId)?.add(roomId);
      for (const client of clients) client.forget(roomId);
    },
    sync: async () => syncAll(),
    again: async () => syncAll('again'),
    full: async () => syncAll('full'),
    back: async () => syncAll('back'),
    check: async () => {
      await syncAll();
      await check(world, isOwn);
    },
    restart: async () => restart(async () => server.stop()),
    kill: async () => restart(async () => server.kill()),
  };
  await verbs[verb]();
};

/** Steps in groups that happen at the same time; each person does one thing at a time. */
const groupsOf = (steps: readonly Step[]): (readonly [Step, number])[][] => {
  const groups: [Step, number][][] = [];
  for (const [number, each] of steps.entries()) {
    const last = groups.at(-1);
    const mayOverlap = [each, ...(last ?? []).map(([one]) => one)].every(({ verb }) => (TOGETHER as readonly string[]).includes(verb));
    const isFree = last?.every(([one]) => one.who !== each.who) === true;
    if (last && each.isOverlapping && mayOverlap && isFree) last.push([each, number]);
    else groups.push([[each, number]]);
  }
  return groups;
};

/** A device for each way to ask, as what a device was sent of members is remembered by device. A third of the ways for each person. */
const clientsOf = async (server: Server, { userId }: Person, index: number): Promise<SyncClient[]> => {
  const password = `password of ${userId.slice(1).replace(/:.*/, '')}`;
  const request = { type: 'm.login.password', identifier: { type: 'm.id.user', user: userId }, password };
  const ways = WAYS.filter((_, way) => (way + index) % 3 === 0);
  return Promise.all(
    ways.map(async (way) => {
      const device = personOf(server.pool, ok(await server.anybody.post<Session>('/login', request)));
      return createSyncClient(async (path) => ok(await device.get(path)), userId, way);
    }),
  );
};

const makeRooms = async (people: readonly Person[]): Promise<string[]> => {
  const rooms: string[] = [];
  for (let index = 0; index < ROOMS; index++) {
    const owner = people[index] as Person;
    const preset = index === 0 ? 'private_chat' : 'public_chat';
    const knock = { type: 'm.room.join_rules', state_key: '', content: { join_rule: 'knock' } };
    const levels = { state_default: 0, events: { 'm.room.history_visibility': 0, 'm.room.name': 0 } };
    const others = people.filter((each) => each !== owner);
    const request = {
      preset,
      // A room that has no name is called after its members.
      ...(index === 1 && { name: 'named' }),
      invite: others.slice(index).map(({ userId }) => userId),
      power_level_content_override: levels,
      ...(index === 2 && { initial_state: [knock] }),
    };
    const roomId = ok(await owner.post<{ room_id: string }>('/createRoom', request)).room_id;
    rooms.push(roomId);
    for (const each of others.slice(index)) await each.post(`/rooms/${enc(roomId)}/join`);
  }
  return rooms;
};

onEachEngine('clients that believe each sync know what a fresh reading says', async (startOnEngine) => {
  // Nobody goes while a story is told, as an answer that is made anew would say so.
  const presence = { last_active_granularity: '1h', sync_online_timeout: '1h', idle_timeout: '2h' };
  await using server = await startOnEngine({ settings: { presence } });
  let story = 0;
  await playStories(fc.array(step, { minLength: 50, maxLength: 110 }), STORIES, async (steps) => {
    const prefix = `s${String(story++)}`;
    const people = await Promise.all(Array.from({ length: PEOPLE }, async (_, index) => server.register(`${prefix}p${String(index)}`)));
    const clients = (await Promise.all(people.map(async (person, index) => clientsOf(server, person, index)))).flat();
    const forgotten = new Map(people.map(({ userId }) => [userId, new Set<string>()]));
    const world: World = { server, people, clients, rooms: await makeRooms(people), forgotten };
    for (const group of groupsOf(steps)) await Promise.all(group.map(async ([each, number]) => play(world, each, number)));
    for (const client of clients) await client.sync('again');
    await check(world, () => true);
  });
});
