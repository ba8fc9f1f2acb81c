// What relates to events: pages of it, threads, and what is told of it with each event (client-server API, "Forming relationships between events").

import assert from 'node:assert/strict';
import { ok, type Json, type Person } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';
import type { Server } from './support/server.ts';

interface Event {
  readonly event_id: string;
  readonly type: string;
  readonly sender: string;
  readonly content: Json;
  readonly unsigned?: {
    readonly 'm.relations'?: {
      readonly 'm.replace'?: Event;
      readonly 'm.reference'?: { readonly chunk: readonly { readonly event_id: string }[] };
      readonly 'm.thread'?: { readonly latest_event: Event; readonly count: number; readonly current_user_participated: boolean };
    };
  };
}

interface Page {
  readonly chunk: readonly Event[];
  readonly next_batch?: string;
  readonly prev_batch?: string;
  readonly recursion_depth?: number;
}

const id = encodeURIComponent;
const idsOf = (events: readonly Event[]): string[] => events.map((event) => event.event_id);

/** A room in which Alice and Bob are, with what they say there. */
const talk = async (server: Server) => {
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const { room_id: roomId } = ok(await alice.post<{ room_id: string }>('/createRoom', { preset: 'public_chat' }));
  ok(await bob.post(`/join/${id(roomId)}`));
  const room = `/rooms/${id(roomId)}`;
  let txn = 0;
  const send = async (person: Person, content: Json, type = 'm.room.message'): Promise<string> =>
    ok(await person.put<{ event_id: string }>(`${room}/send/${type}/t${String((txn += 1))}`, content)).event_id;
  const say = async (person: Person, body: string): Promise<string> => send(person, { msgtype: 'm.text', body });
  const relate = async (person: Person, relType: string, target: string, body: string): Promise<string> =>
    send(person, { msgtype: 'm.text', body, 'm.relates_to': { rel_type: relType, event_id: target } });
  const edit = async (person: Person, target: string, body: string): Promise<string> =>
    send(person, {
      msgtype: 'm.text',
      body: `* ${body}`,
      'm.new_content': { msgtype: 'm.text', body },
      'm.relates_to': { rel_type: 'm.replace', event_id: target },
    });
  const redact = async (person: Person, target: string): Promise<unknown> =>
    ok(await person.put(`${room}/redact/${id(target)}/t${String((txn += 1))}`, {}));
  const event = async (person: Person, eventId: string): Promise<Event> => ok(await person.get<Event>(`${room}/event/${id(eventId)}`));
  const bundle = async (person: Person, eventId: string) => (await event(person, eventId)).unsigned?.['m.relations'];
  const relations = async (person: Person, target: string, rest = ''): Promise<Page> =>
    ok(await person.get<Page>(`/_matrix/client/v1${room}/relations/${id(target)}${rest}`));
  const threads = async (person: Person, rest = ''): Promise<Page> =>
    ok(await person.get<Page>(`/_matrix/client/v1${room}/threads${rest}`));
  return { alice, bob, roomId, room, send, say, relate, edit, redact, event, bundle, relations, threads };
};

onEachEngine('the latest edit by its sender is told with an event', async (start) => {
  await using server = await start();
  const { alice, bob, room, say, edit, redact, bundle, event } = await talk(server);
  const message = await say(alice, 'frist');
  assert.equal(await bundle(bob, message), undefined);
  const first = await edit(alice, message, 'first');
  await edit(bob, message, 'somebody else may not');
  assert.equal((await bundle(bob, message))?.['m.replace']?.event_id, first);
  const second = await edit(alice, message, 'First!');
  const told = (await bundle(bob, message))?.['m.replace'];
  assert.deepEqual([told?.event_id, told?.content['m.new_content']], [second, { msgtype: 'm.text', body: 'First!' }]);
  assert.equal((await event(bob, message)).content['body'], 'frist', 'the event itself stays as it was signed');
  await redact(alice, second);
  assert.equal((await bundle(bob, message))?.['m.replace']?.event_id, first, 'an edit that was taken back counts no more');

  const page = ok(await bob.get<Page>(`${room}/messages?dir=b&limit=50`)).chunk.find((each) => each.event_id === message);
  assert.equal(page?.unsigned?.['m.relations']?.['m.replace']?.event_id, first);
  const context = ok(await bob.get<{ event: Event }>(`${room}/context/${id(message)}`)).event;
  assert.equal(context.unsigned?.['m.relations']?.['m.replace']?.event_id, first);
  await redact(alice, message);
  assert.equal(await bundle(bob, message), undefined, 'what was redacted is not told by its edits');
});

onEachEngine('a thread is told with its root, as its reader sees it', async (start) => {
  await using server = await start();
  const { alice, bob, room, roomId, say, relate, edit, redact, bundle } = await talk(server);
  const root = await say(alice, 'what do you think?');
  const reply = await relate(bob, 'm.thread', root, 'good');
  const last = await relate(alice, 'm.thread', root, 'godo');
  const better = await edit(alice, last, 'good!');
  const carol = await server.register('carol');
  const thread = async (person: Person) => (await bundle(person, root))?.['m.thread'];
  assert.deepEqual([(await thread(bob))?.count, (await thread(bob))?.current_user_participated], [2, true]);
  const latest = (await thread(bob))?.latest_event;
  assert.deepEqual([latest?.event_id, latest?.unsigned?.['m.relations']?.['m.replace']?.event_id], [last, better]);
  assert.equal(await bundle(bob, reply), undefined);

  ok(await carol.post(`/join/${id(roomId)}`));
  assert.equal((await thread(carol))?.current_user_participated, false);
  ok(await carol.put(`/user/${id(carol.userId)}/account_data/m.ignored_user_list`, { ignored_users: { [alice.userId]: {} } }));
  assert.equal((await carol.get(`${room}/event/${id(root)}`)).status, 404, 'the root is of one who is ignored');
  ok(await carol.put(`/user/${id(carol.userId)}/account_data/m.ignored_user_list`, { ignored_users: { [bob.userId]: {} } }));
  assert.deepEqual([(await thread(carol))?.count, (await thread(carol))?.latest_event.event_id], [1, last]);
  await redact(alice, last);
  assert.equal(await thread(carol), undefined, 'nothing is left of it that Carol hears');
  assert.deepEqual([(await thread(bob))?.count, (await thread(bob))?.latest_event.event_id], [1, reply]);
});

onEachEngine('references are told with an event', async (start) => {
  await using server = await start();
  const { alice, bob, say, relate, redact, bundle } = await talk(server);
  const poll = await say(alice, 'tea or coffee?');
  const votes = [await relate(bob, 'm.reference', poll, 'tea'), await relate(alice, 'm.reference', poll, 'coffee')];
  assert.deepEqual(
    (await bundle(bob, poll))?.['m.reference']?.chunk.map((each) => each.event_id),
    votes,
  );
  await redact(bob, votes[0] as string);
  assert.deepEqual(
    (await bundle(bob, poll))?.['m.reference']?.chunk.map((each) => each.event_id),
    votes.slice(1),
  );
});

onEachEngine('what relates to an event comes in pages, of one kind or of all, and relations of relations when asked', async (start) => {
  await using server = await start();
  const { alice, bob, room, say, send, relate, edit, relations, redact } = await talk(server);
  const root = await say(alice, 'root');
  const replies: string[] = [];
  for (let index = 0; index < 7; index++) replies.push(await relate(bob, 'm.thread', root, String(index)));
  const reaction = await send(alice, { 'm.relates_to': { rel_type: 'm.annotation', event_id: root, key: '👍' } }, 'm.reaction');
  const nested = await edit(bob, replies[0] as string, 'zero');
  const all = [...replies, reaction];
  const newest = await relations(alice, root);
  assert.deepEqual(idsOf(newest.chunk), all.slice(-5).toReversed());
  const rest = await relations(alice, root, `?from=${id(newest.next_batch as string)}`);
  assert.deepEqual([idsOf(rest.chunk), rest.next_batch, rest.prev_batch], [all.slice(0, 3).toReversed(), undefined, newest.next_batch]);
  assert.deepEqual(idsOf((await relations(alice, root, '?dir=f&limit=100')).chunk), all);
  const oldest = await relations(alice, root, '?dir=f&limit=2');
  assert.deepEqual(idsOf((await relations(alice, root, `?dir=f&from=${id(oldest.next_batch as string)}`)).chunk), all.slice(2, 7));
  const upTo = `?dir=f&to=${id(oldest.next_batch as string)}&limit=50`;
  assert.deepEqual(idsOf((await relations(alice, root, upTo)).chunk), all.slice(0, 2));
  assert.deepEqual(idsOf((await relations(alice, root, '/m.annotation')).chunk), [reaction]);
  assert.deepEqual(idsOf((await relations(alice, root, '/m.thread/m.room.message?limit=3')).chunk), replies.slice(-3).toReversed());
  assert.deepEqual((await relations(alice, root, '/m.thread/m.reaction')).chunk, []);
  const deep = await relations(alice, root, '?recurse=true&dir=f&limit=50');
  assert.deepEqual([idsOf(deep.chunk), deep.recursion_depth], [[...all, nested], 3]);
  const sync = ok(await alice.get<{ next_batch: string }>('/sync'));
  assert.deepEqual(idsOf((await relations(alice, root, `?from=${sync.next_batch}&limit=1`)).chunk), [reaction]);
  await redact(alice, reaction);
  assert.deepEqual((await relations(alice, root, '/m.annotation')).chunk, []);
  const missing = await bob.get(`/_matrix/client/v1${room}/relations/${id('$nothing')}`);
  assert.deepEqual([missing.status, missing.body['errcode']], [404, 'M_NOT_FOUND']);
});

onEachEngine('threads are listed by what was said last, all or those that one takes part in', async (start) => {
  await using server = await start();
  const { alice, bob, say, relate, threads, redact, roomId } = await talk(server);
  const roots: string[] = [];
  for (let index = 0; index < 3; index++) roots.push(await say(alice, `thread ${String(index)}`));
  const [first, second, third] = roots as [string, string, string];
  for (const root of roots) await relate(alice, 'm.thread', root, 'begins');
  const later = await relate(bob, 'm.thread', first, 'goes on');
  assert.deepEqual(idsOf((await threads(bob)).chunk), [first, third, second]);
  const page = await threads(bob, '?limit=2');
  assert.deepEqual(idsOf(page.chunk), [first, third]);
  const next = await threads(bob, `?limit=2&from=${id(page.next_batch as string)}`);
  assert.deepEqual([idsOf(next.chunk), next.next_batch], [[second], undefined]);
  assert.deepEqual(idsOf((await threads(bob, '?include=participated')).chunk), [first]);
  assert.deepEqual(idsOf((await threads(alice, '?include=participated')).chunk), [first, third, second]);
  assert.equal((await threads(bob)).chunk[0]?.unsigned?.['m.relations']?.['m.thread']?.latest_event.event_id, later);
  await redact(bob, later);
  assert.equal((await threads(bob, '?include=participated')).chunk.length, 0);
  const stranger = await server.register('carol');
  assert.equal((await stranger.get(`/_matrix/client/v1/rooms/${id(roomId)}/threads`)).status, 403);
});

onEachEngine('those who have left are not told what was said since', async (start) => {
  await using server = await start();
  const { alice, bob, room, say, relate, edit, bundle } = await talk(server);
  const message = await say(alice, 'before');
  const kept = await edit(alice, message, 'still before');
  const root = await say(alice, 'root');
  const reply = await relate(alice, 'm.thread', root, 'before');
  ok(await bob.post(`${room}/leave`));
  await relate(alice, 'm.reference', message, 'after');
  assert.equal((await bundle(bob, message))?.['m.replace']?.event_id, kept);
  assert.equal((await bundle(bob, root))?.['m.thread']?.latest_event.event_id, reply);
  await edit(alice, message, 'after');
  await relate(alice, 'm.thread', root, 'after');
  const told = JSON.stringify([await bundle(bob, message), await bundle(bob, root)]);
  assert.ok(!told.includes('after'), told);
});

onEachEngine('sync tells of relations where it leaves something out', async (start) => {
  await using server = await start();
  const { alice, bob, roomId, say, edit } = await talk(server);
  interface Sync {
    next_batch: string;
    rooms?: { join?: Record<string, { timeline: { limited: boolean; events: Event[] } }> };
  }
  const sync = async (rest: string): Promise<{ token: string; events: readonly Event[]; limited: boolean | undefined }> => {
    const { next_batch: token, rooms } = ok(await bob.get<Sync>(`/sync${rest}`));
    return { token, events: rooms?.join?.[roomId]?.timeline.events ?? [], limited: rooms?.join?.[roomId]?.timeline.limited };
  };
  const { token } = await sync('');
  const message = await say(alice, 'one');
  const edited = await edit(alice, message, 'uno');
  const whole = await sync(`?since=${token}`);
  assert.deepEqual([whole.limited, whole.events.map((event) => event.unsigned?.['m.relations'])], [false, [undefined, undefined]]);
  await say(alice, 'two');
  const filter = id(JSON.stringify({ room: { timeline: { limit: 3 } } }));
  const gapped = await sync(`?since=${token}&filter=${filter}`);
  assert.equal(gapped.limited, false);
  const few = await sync(`?filter=${filter}`);
  assert.equal(few.limited, true);
  assert.equal(few.events.find((event) => event.event_id === message)?.unsigned?.['m.relations']?.['m.replace']?.event_id, edited);
});

onEachEngine('filters ask for events to which something relates', async (start) => {
  await using server = await start();
  const { alice, bob, room, roomId, say, send, relate } = await talk(server);
  const [plain, liked, replied] = [await say(alice, 'plain'), await say(alice, 'liked'), await say(alice, 'replied')];
  await send(bob, { 'm.relates_to': { rel_type: 'm.annotation', event_id: liked, key: '👍' } }, 'm.reaction');
  await relate(alice, 'm.thread', replied, 'reply');
  const messages = async (filter: Json): Promise<string[]> =>
    idsOf(ok(await alice.get<Page>(`${room}/messages?dir=f&limit=50&filter=${id(JSON.stringify(filter))}`)).chunk);
  assert.deepEqual(await messages({ related_by_rel_types: ['m.thread'] }), [replied]);
  assert.deepEqual(await messages({ related_by_rel_types: ['m.thread', 'm.annotation'] }), [liked, replied]);
  assert.deepEqual(await messages({ related_by_senders: [bob.userId] }), [liked]);
  assert.deepEqual(await messages({ related_by_senders: [bob.userId], related_by_rel_types: ['m.thread'] }), []);
  assert.ok((await messages({})).includes(plain));
  const filter = id(JSON.stringify({ room: { timeline: { limit: 20, related_by_rel_types: ['m.annotation'] } } }));
  const sync = ok(await bob.get<{ rooms: { join: Record<string, { timeline: { events: Event[] } }> } }>(`/sync?filter=${filter}`));
  assert.deepEqual(idsOf(sync.rooms.join[roomId]?.timeline.events ?? []), [liked]);
});
