// Spaces and what is in them, here and on other servers; and what rooms are before one has entered them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertError, ok, type Json, type Person, type Reply } from '#test/support/client.ts';
import { onEachEngine } from '#test/support/engines.ts';
import { startPeer } from '#test/support/federation.ts';
import { json, startScriptedPeer } from '#test/support/scripted-peer.ts';

const enc = encodeURIComponent;

const createRoom = async (creator: Person, settings: Json = {}): Promise<string> =>
  ok(await creator.post<{ room_id: string }>('/createRoom', settings)).room_id;

const createSpace = async (creator: Person, settings: Json = {}): Promise<string> =>
  createRoom(creator, { creation_content: { type: 'm.space' }, ...settings });

const setState = async (person: Person, roomId: string, type: string, key: string, content: Json): Promise<void> =>
  void ok(await person.put(`/rooms/${enc(roomId)}/state/${type}/${enc(key)}`, content));

const adopt = async (person: Person, spaceId: string, roomId: string, content: Json = { via: ['test.example'] }): Promise<void> =>
  setState(person, spaceId, 'm.space.child', roomId, content);

/** Asks again when it is told that it asks too often. */
const get = async <Body = Json>(client: Pick<Person, 'get'>, path: string): Promise<Reply<Body>> => {
  for (;;) {
    const reply = await client.get<Body & { retry_after_ms?: number }>(path);
    if (reply.status !== 429) return reply;
    await sleep(reply.body.retry_after_ms ?? 100);
  }
};

interface Hierarchy {
  readonly rooms: readonly (Json & { readonly room_id: string; readonly children_state: readonly Json[] })[];
  readonly next_batch?: string;
}

const walk = async (person: Person, roomId: string, query = ''): Promise<Hierarchy> => {
  const { status, body } = await get<Hierarchy>(person, `/_matrix/client/v1/rooms/${enc(roomId)}/hierarchy?${query}`);
  assert.equal(status, 200, JSON.stringify(body));
  return body;
};

const idsOf = ({ rooms }: Hierarchy): string[] => rooms.map((room) => room.room_id);

onEachEngine('the rooms of a space are told in order, to those who could enter or read them, in pages', async (start) => {
  await using server = await start();
  const alice = await server.register('alice');
  const bob = await server.register('bob');
  const root = await createSpace(alice, { preset: 'public_chat', name: 'Root', topic: 'All of it' });
  const sub = await createSpace(alice, { preset: 'public_chat', name: 'Sub' });
  const [first, second, hidden, restricted, inSub] = [
    await createRoom(alice, { preset: 'public_chat', name: 'First' }),
    await createRoom(alice, { preset: 'public_chat', name: 'Second' }),
    await createRoom(alice, { preset: 'private_chat', name: 'Hidden' }),
    await createRoom(alice, { preset: 'private_chat', name: 'Restricted' }),
    await createRoom(alice, { preset: 'public_chat', name: 'In sub' }),
  ];
  await setState(alice, restricted, 'm.room.join_rules', '', {
    join_rule: 'restricted',
    allow: [{ type: 'm.room_membership', room_id: root }],
  });
  await setState(alice, second, 'm.room.encryption', '', { algorithm: 'm.megolm.v1.aes-sha2' });
  await adopt(alice, root, second);
  await adopt(alice, root, hidden);
  await adopt(alice, root, restricted);
  await adopt(alice, root, sub, { via: ['test.example'], order: 'b', suggested: true });
  await adopt(alice, root, first, { via: ['test.example'], order: 'a' });
  await adopt(alice, root, '!unknown:test.example');
  await adopt(alice, root, '!no-via:test.example', {});
  await adopt(alice, sub, inSub);
  await adopt(alice, sub, root);
  const all = await walk(alice, root);
  assert.deepEqual(idsOf(all), [root, first, sub, inSub, second, hidden, restricted]);
  const { children_state: children, ...entry } = all.rooms[0] as Hierarchy['rooms'][number];
  assert.deepEqual(entry, {
    room_id: root,
    room_type: 'm.space',
    room_version: entry['room_version'],
    name: 'Root',
    topic: 'All of it',
    join_rule: 'public',
    num_joined_members: 1,
    world_readable: false,
    guest_can_join: false,
  });
  assert.deepEqual(
    children.map((child) => [child['type'], child['state_key'], child['sender']]),
    [first, sub, second, hidden, restricted, '!unknown:test.example'].map((id) => ['m.space.child', id, alice.userId]),
  );
  assert.equal(all.rooms.find(({ room_id: id }) => id === second)?.['encryption'], 'm.megolm.v1.aes-sha2');
  assert.deepEqual(all.rooms.find(({ room_id: id }) => id === restricted)?.['allowed_room_ids'], [root]);

  assert.deepEqual(idsOf(await walk(bob, root)), [root, first, sub, inSub, second], 'as far as he could enter');
  ok(await bob.post(`/rooms/${enc(root)}/join`));
  assert.deepEqual(idsOf(await walk(bob, root)), [root, first, sub, inSub, second, restricted], 'by his being in another');
  ok(await alice.post(`/rooms/${enc(hidden)}/invite`, { user_id: bob.userId }));
  assert.deepEqual(idsOf(await walk(bob, root)), [root, first, sub, inSub, second, hidden, restricted], 'and invited');
  assert.deepEqual(idsOf(await walk(alice, root, 'max_depth=1')), [root, first, sub, second, hidden, restricted]);
  assert.deepEqual(idsOf(await walk(alice, root, 'max_depth=0')), [root]);
  assert.deepEqual(idsOf(await walk(alice, root, 'suggested_only=true')), [root, sub]);
  const pages: string[] = [];
  for (let from: string | undefined = ''; from !== undefined;) {
    const page: Hierarchy = await walk(alice, root, `limit=3${from === '' ? '' : `&from=${from}`}`);
    assert.ok(page.rooms.length <= 3);
    if (from !== '')
      assert.deepEqual(idsOf(await walk(alice, root, `limit=3&from=${from}`)), idsOf(page), 'a page that is asked for again is the same');
    pages.push(...idsOf(page));
    from = page.next_batch;
  }
  assert.deepEqual(pages, idsOf(all));
  const v1 = (query: string, roomId = root): string => `/_matrix/client/v1/rooms/${enc(roomId)}/hierarchy?${query}`;
  const { next_batch: token = '' } = await walk(alice, root, 'limit=1');
  for (const query of ['from=nonsense', `from=${token}&max_depth=1`, 'max_depth=-1', 'limit=0', 'limit=x'])
    assertError(await get(alice, v1(query)), 400, 'M_INVALID_PARAM');
  assertError(await get(bob, v1(`from=${token}`)), 400, 'M_INVALID_PARAM');
  const secret = await createSpace(alice, { preset: 'private_chat' });
  assertError(await get(bob, v1('', secret)), 403, 'M_FORBIDDEN');
  assertError(await get(bob, v1('', '!nowhere:test.example')), 403, 'M_FORBIDDEN');
});

onEachEngine('rooms are summed up for those who could enter them, also without an account', async (start) => {
  await using server = await start();
  const alice = await server.register('alice');
  const bob = await server.register('bob');
  const open = await createRoom(alice, { preset: 'public_chat', name: 'Open', room_alias_name: 'open' });
  const closed = await createRoom(alice, { preset: 'private_chat' });
  const of = (id: string, query = ''): string => `/_matrix/client/v1/room_summary/${enc(id)}?${query}`;
  const { membership, ...summary } = ok(await get(alice, of('#open:test.example')));
  assert.equal(membership, 'join');
  assert.deepEqual([summary['room_id'], summary['name'], summary['num_joined_members']], [open, 'Open', 1]);
  assert.deepEqual(ok(await get(server.anybody, of(open))), summary);
  assert.equal(ok(await get(bob, of(open)))['membership'], 'leave');
  assert.deepEqual(ok(await get(server.anybody, `/_matrix/client/unstable/im.nheko.summary/summary/${enc(open)}`)), summary);
  assert.deepEqual(ok(await get(server.anybody, `/_matrix/client/unstable/im.nheko.summary/rooms/${enc(open)}/summary`)), summary);
  assertError(await get(bob, of(closed)), 404, 'M_NOT_FOUND');
  assertError(await get(bob, of('!nowhere:test.example')), 400, 'M_INVALID_PARAM');
  assertError(await get(bob, of('nonsense')), 400, 'M_INVALID_PARAM');
  const asked = await Promise.all(Array.from({ length: 20 }, async () => alice.get(of(open))));
  assert.ok(
    asked.some(({ status }) => status === 429),
    'a walk may ask many servers',
  );
});

onEachEngine('spaces go on across servers, and each is told what its users could enter', async (start) => {
  await using one = await startPeer({}, start);
  await using two = await startPeer();
  const alice = await one.register('alice');
  const bob = await two.register('bob');
  const [open, closed, sub] = [
    await createRoom(bob, { preset: 'public_chat', name: 'There' }),
    await createRoom(bob, { preset: 'private_chat', name: 'Closed' }),
    await createSpace(bob, { preset: 'public_chat', name: 'Space there' }),
  ];
  await adopt(bob, sub, open, { via: [two.name] });
  await adopt(bob, sub, closed, { via: [two.name] });
  const root = await createSpace(alice, { preset: 'public_chat', name: 'Here' });
  await adopt(alice, root, sub, { via: [two.name] });
  await adopt(alice, root, closed, { via: [two.name, one.name] });
  const found = await walk(alice, root);
  assert.deepEqual(idsOf(found), [root, sub, open]);
  assert.deepEqual(
    found.rooms.map((room) => [room['name'], room.children_state.length]),
    [
      ['Here', 2],
      ['Space there', 2],
      ['There', 0],
    ],
  );
  assert.deepEqual(idsOf(await walk(alice, sub, `via=${enc(two.name)}`)), [sub, open]);
  const summary = ok(await get(alice, `/_matrix/client/v1/room_summary/${enc(open)}?via=${enc(two.name)}`));
  assert.deepEqual([summary['name'], summary['membership']], ['There', 'leave']);
  await two.stop();
  assert.deepEqual(idsOf(await walk(alice, root)), [root, sub, open], 'kept for a minute');
});

test('what is not in order in what other servers tell of spaces is left out', async () => {
  await using server = await startPeer();
  await using peer = await startScriptedPeer();
  const alice = await server.register('alice');
  const root = await createSpace(alice, { preset: 'public_chat' });
  const elsewhere = (name: string): string => `!${name}:${peer.name}`;
  const answers: Readonly<Record<string, unknown>> = {
    good: {
      room: {
        room_id: elsewhere('good'),
        name: 'Good',
        topic: 5,
        room_type: 'm.space',
        num_joined_members: -1,
        world_readable: 'yes',
        guest_can_join: true,
        join_rule: 'public',
        strange: {},
        children_state: [
          'text',
          { type: 'm.space.child' },
          { type: 'm.room.name', state_key: '', content: {}, sender: '@a:b', origin_server_ts: 1 },
        ],
      },
      children: 'none',
      inaccessible_children: [1],
    },
    other: { room: { room_id: elsewhere('good'), join_rule: 'public' } },
    empty: {},
    list: [],
    refused: undefined,
  };
  for (const [name, answer] of Object.entries(answers)) {
    if (answer !== undefined) peer.on(`/_matrix/federation/v1/hierarchy/${enc(elsewhere(name))}`, json(answer));
    await adopt(alice, root, elsewhere(name), { via: [peer.name], order: name });
  }
  const found = await walk(alice, root);
  assert.deepEqual(found.rooms.slice(1), [
    {
      room_id: elsewhere('good'),
      name: 'Good',
      room_type: 'm.space',
      num_joined_members: 0,
      world_readable: false,
      guest_can_join: true,
      join_rule: 'public',
      children_state: [],
    },
  ]);
  const closed = await createSpace(alice, { preset: 'private_chat' });
  const path = `/_matrix/federation/v1/hierarchy/${enc(closed)}`;
  assertError(await peer.ask(server, 'GET', path), 404, 'M_NOT_FOUND');
});
