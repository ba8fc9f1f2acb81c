// Searching messages: in any language, by rank and by time, and never more than one may see.

import assert from 'node:assert/strict';
import { assertError, ok, type Json, type Person } from './support/client.ts';
import { onEachEngine } from './support/engines.ts';

const id = encodeURIComponent;

interface Event {
  readonly event_id: string;
  readonly room_id: string;
  readonly content: Json;
}

interface Group {
  readonly results: readonly string[];
  readonly order: number;
  readonly next_batch?: string;
}

interface Results {
  readonly count: number;
  readonly highlights: readonly string[];
  readonly results: readonly {
    readonly rank: number;
    readonly result: Event;
    readonly context: {
      readonly events_before?: readonly Event[];
      readonly events_after?: readonly Event[];
      readonly start?: string;
      readonly end?: string;
      readonly profile_info?: Readonly<Record<string, Json>>;
    };
  }[];
  readonly groups?: Readonly<Record<string, Readonly<Record<string, Group>>>>;
  readonly state?: Readonly<Record<string, readonly { readonly type: string }[]>>;
  readonly next_batch?: string;
}

const search = async (person: Person, term: string, more: Json = {}, nextBatch?: string): Promise<Results> => {
  const path = `/search${nextBatch === undefined ? '' : `?next_batch=${id(nextBatch)}`}`;
  const body = { search_categories: { room_events: { search_term: term, ...more } } };
  return ok(await person.post<{ search_categories: { room_events: Results } }>(path, body)).search_categories.room_events;
};
const bodiesOf = ({ results }: Results): unknown[] => results.map(({ result }) => result.content['body']);
const find = async (person: Person, term: string, more: Json = {}): Promise<unknown[]> => bodiesOf(await search(person, term, more));

const createRoom = async (person: Person, request: Json = {}): Promise<string> =>
  ok(await person.post<{ room_id: string }>('/createRoom', { preset: 'public_chat', ...request })).room_id;
let sent = 0;
const send = async (person: Person, roomId: string, content: Json, type = 'm.room.message'): Promise<string> =>
  ok(await person.put<{ event_id: string }>(`/rooms/${id(roomId)}/send/${type}/${String((sent += 1))}`, content)).event_id;
const say = async (person: Person, roomId: string, body: string): Promise<string> => send(person, roomId, { msgtype: 'm.text', body });

const SENTENCES = {
  german: 'Die Größe der Straße in München überraschte Frau Müller.',
  turkish: 'Diyarbakır’dan İstanbul’a giden IŞIKLI yol çok güzeldi.',
  chinese: '中华人民共和国成立于1949年，首都是北京。',
  japanese: '昨日、東京都の図書館で新しいコンピューターの本を借りました。',
  other: '東京から京都へ新幹線で行きました。',
  thai: 'ผมชอบกินข้าวผัดมากที่สุดในโลก และดื่มน้ำเปล่า',
  korean: '나는 학교에서 한국어를 공부합니다.',
  greek: 'Ο Οδυσσέας γύρισε στην ΙΘΆΚΗ.',
  french: "L'été, les élèves vont à l'école.",
  emoji: 'Herzlichen Glückwunsch! 🎉👍🏽 🇩🇪',
  english: "It's snake_case, e-mail and https://example.org/some/page?x=1",
};

onEachEngine('messages are found in any language, whatever their case and accents', async (startOnEngine) => {
  await using server = await startOnEngine();
  const alice = await server.register('alice');
  const room = await createRoom(alice);
  for (const sentence of Object.values(SENTENCES)) await say(alice, room, sentence);
  for (const [term, ...expected] of [
    ['grösse', 'german'],
    ['GROSSE', 'german'],
    ['muller strasse', 'german'],
    ['münch', 'german'],
    ['diyarbakir', 'turkish'],
    ['DİYARBAKIR', 'turkish'],
    ['ışıklı', 'turkish'],
    ['isikli guzel', 'turkish'],
    ['人民', 'chinese'],
    ['北京', 'chinese'],
    ['首都 北京 1949', 'chinese'],
    ['東京', 'japanese', 'other'],
    ['東京都', 'japanese'],
    ['図書館', 'japanese'],
    ['コンピュータ', 'japanese'],
    ['本', 'japanese'],
    ['京都', 'japanese', 'other'],
    ['ข้าวผัด', 'thai'],
    ['น้ำเปล่า', 'thai'],
    ['โลก', 'thai'],
    ['학교', 'korean'],
    ['ιθακη', 'greek'],
    ['οδυσσεασ', 'greek'],
    ['ete ecole', 'french'],
    ['🎉', 'emoji'],
    ['👍', 'emoji'],
    ['🇩🇪', 'emoji'],
    ['snake_case', 'english'],
    ['e-mail', 'english'],
    ['example.org', 'english'],
  ] as const)
    assert.deepEqual(
      (await find(alice, term, { order_by: 'recent' })).toReversed(),
      expected.map((name) => SENTENCES[name]),
      term,
    );
  for (const nothing of ['大阪', '犬', '都京', 'ซุป', 'rösse', 'strasse berlin', '🇫🇷', '', ' . ', '"', "' OR 9=9 --", 'a'.repeat(10_000)])
    assert.deepEqual(await find(alice, nothing), [], nothing.slice(0, 50));
  assert.deepEqual((await search(alice, 'GROSSE muell')).highlights, []);
  assert.deepEqual((await search(alice, 'GROSSE mull')).highlights, ['größe', 'müller']);
  assert.deepEqual((await search(alice, '東京都')).highlights, ['東京都']);
});

onEachEngine('what was found comes by time in pages, and by rank', async (startOnEngine) => {
  await using server = await startOnEngine();
  const alice = await server.register('alice');
  const [room, other] = [await createRoom(alice), await createRoom(alice)];
  const numbers = Array.from({ length: 25 }, (_, index) => `Message number ${String(index)}`);
  for (const [index, body] of numbers.entries()) await say(alice, index % 5 === 0 ? other : room, body);
  const wish = { order_by: 'recent', filter: { limit: 10 }, groupings: { group_by: [{ key: 'room_id' }, { key: 'sender' }] } };
  const seen: unknown[] = [];
  let page = await search(alice, 'message', wish);
  const { next_batch: ofRoom } = page.groups?.['room_id']?.[other] ?? {};
  assert.deepEqual(Object.keys(page.groups?.['sender'] ?? {}), [alice.userId]);
  assert.deepEqual(
    Object.values(page.groups?.['room_id'] ?? {}).map(({ results, order }) => [results.length, order]),
    [
      [8, 1],
      [2, 2],
    ],
  );
  for (; page.next_batch !== undefined; page = await search(alice, 'message', wish, page.next_batch)) {
    assert.equal(page.count, 25);
    seen.push(...bodiesOf(page));
  }
  assert.deepEqual([...seen, ...bodiesOf(page)], numbers.toReversed());
  assert.equal(page.count, 25);
  const rest = await search(alice, 'message', wish, ofRoom);
  assert.deepEqual(
    bodiesOf(rest),
    [10, 5, 0].map((index) => numbers[index]),
  );
  assert.deepEqual([rest.count, rest.next_batch], [5, undefined]);
  const whole = await search(alice, 'message', { ...wish, filter: { limit: 25 } });
  assert.equal(whole.results.length, 25);
  assert.deepEqual(bodiesOf(await search(alice, 'message', wish, whole.next_batch)), [], 'a full page may be followed by an empty one');
  assert.deepEqual(await find(alice, 'message', { filter: { limit: 0 } }), []);

  const ranked = [
    'pineapples everywhere',
    'a long story in which at last one pineapple is eaten by somebody',
    'pineapple',
    'pineapple pineapple',
  ];
  for (const body of ranked) await say(alice, room, body);
  const best = await search(alice, 'pineapple');
  assert.equal((await search(alice, 'message 1')).count, 1, 'a number is whole');
  assert.deepEqual(await find(alice, '"pineapple is eaten"'), [ranked[1]]);
  assert.deepEqual(await find(alice, 'pineapple -story -"pineapple pineapple"'), ['pineapple', 'pineapples everywhere']);
  assert.deepEqual(bodiesOf(best), [ranked[3], ranked[2], ranked[1], ranked[0]]);
  assert.ok(best.results.every(({ rank }, index) => rank > 0 && rank <= (best.results[index - 1]?.rank ?? Infinity)));
  const byRank: unknown[] = [];
  for (let batch: string | undefined, isFirst = true; isFirst || batch !== undefined; isFirst = false) {
    const next = await search(alice, 'pineapple', { filter: { limit: 3 } }, batch);
    byRank.push(...bodiesOf(next));
    batch = next.next_batch;
  }
  assert.deepEqual(byRank, bodiesOf(best));
});

onEachEngine('names and topics are found, and filters, keys and rooms restrict', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const room = await createRoom(alice, { name: 'Zebra talk', topic: 'All about the zebra' });
  const other = await createRoom(alice);
  ok(await bob.post(`/join/${id(room)}`));
  const first = await say(alice, room, 'a zebra of alice');
  await say(bob, room, 'a zebra of bob');
  await say(alice, other, 'a zebra elsewhere');
  await send(alice, room, { msgtype: 'm.image', body: 'zebra.jpg', url: 'mxc://test.example/zebra' });
  await send(alice, room, { ciphertext: 'zebra', body: 'zebra', algorithm: 'm.megolm.v1.aes-sha2' }, 'm.room.encrypted');
  await send(bob, room, { 'm.relates_to': { rel_type: 'm.annotation', event_id: first, key: '👍' } }, 'm.reaction');
  const recent = { order_by: 'recent' };
  const image = 'zebra.jpg';
  const whole = await search(alice, 'zebra', recent);
  assert.deepEqual(bodiesOf(whole), [image, 'a zebra elsewhere', 'a zebra of bob', 'a zebra of alice', undefined, undefined]);
  assert.equal(whole.count, 6);
  const filtered = (filter: Json): Promise<unknown[]> => find(alice, 'zebra', { ...recent, filter });
  for (const [filter, expected] of [
    [{ senders: [bob.userId] }, ['a zebra of bob']],
    [{ not_senders: [alice.userId] }, ['a zebra of bob']],
    [{ types: ['m.room.mess*'], rooms: [room] }, [image, 'a zebra of bob', 'a zebra of alice']],
    [{ not_types: ['m.room.message'] }, [undefined, undefined]],
    [{ rooms: [other] }, ['a zebra elsewhere']],
    [{ rooms: [] }, []],
    [{ not_rooms: [room] }, ['a zebra elsewhere']],
    [{ contains_url: true }, [image]],
    [{ contains_url: false, types: ['m.room.message'], limit: 1 }, ['a zebra elsewhere']],
    [{ related_by_rel_types: ['m.annotation'] }, ['a zebra of alice']],
    [{ related_by_senders: [alice.userId] }, []],
    [{ rooms: ['!unknown:test.example'] }, []],
  ] as const)
    assert.deepEqual(await filtered(filter as Json), expected, JSON.stringify(filter));
  const keyed = async (...keys: string[]): Promise<number> => (await search(alice, 'zebra', { keys })).count;
  assert.deepEqual(
    [await keyed('content.name'), await keyed('content.topic'), await keyed('content.body'), await keyed('content.name', 'content.topic')],
    [1, 1, 4, 2],
  );
  assert.deepEqual(await find(alice, 'zebra', { keys: [] }), []);
});

onEachEngine('nobody finds what they may not see', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob, eve] = [await server.register('alice'), await server.register('bob'), await server.register('eve')];
  const joinedOnly = [{ type: 'm.room.history_visibility', state_key: '', content: { history_visibility: 'joined' } }];
  const room = await createRoom(alice, { initial_state: joinedOnly });
  await say(alice, room, 'secret before');
  ok(await bob.post(`/join/${id(room)}`));
  const mistake = await say(alice, room, 'secret mistake');
  await say(bob, room, 'secret after');
  assert.deepEqual(await find(bob, 'secret', { order_by: 'recent' }), ['secret after', 'secret mistake']);
  assert.deepEqual(await find(alice, 'secret', { order_by: 'recent' }), ['secret after', 'secret mistake', 'secret before']);
  assert.deepEqual(await search(eve, 'secret'), { results: [], count: 0, highlights: [] });
  assert.deepEqual(await find(eve, 'secret', { filter: { rooms: [room] } }), []);

  ok(await alice.put(`/rooms/${id(room)}/redact/${id(mistake)}/1`, {}));
  for (const order of ['rank', 'recent']) {
    const found = await search(bob, 'secret', { order_by: order });
    assert.deepEqual(bodiesOf(found), ['secret after']);
    assert.equal(found.count, 2, 'what is redacted is not counted');
  }
  assert.equal((await search(bob, 'mistake')).count, 0);

  ok(await alice.put(`/user/${id(alice.userId)}/account_data/m.ignored_user_list`, { ignored_users: { [bob.userId]: {} } }));
  assert.deepEqual(await find(alice, 'secret'), ['secret before']);
  ok(await bob.post(`/rooms/${id(room)}/leave`));
  assert.deepEqual(await search(bob, 'secret'), { results: [], count: 0, highlights: [] });
});

onEachEngine('what stands around it, who said it and the rooms are told', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const room = await createRoom(alice);
  ok(await bob.post(`/join/${id(room)}`));
  for (let index = 1; index <= 7; index += 1) await say(index === 3 ? bob : alice, room, `Message number ${String(index)}`);
  ok(await bob.put(`/profile/${id(bob.userId)}/displayname`, { displayname: 'Robert' }));
  const bodies = (events: readonly Event[] | undefined): unknown[] | undefined => events?.map(({ content }) => content['body']);
  const wish = { event_context: { before_limit: 2, after_limit: 1, include_profile: true }, include_state: true };
  const found = await search(alice, 'message 4', wish);
  const [{ context } = assert.fail('nothing was found')] = found.results;
  assert.deepEqual(bodies(context.events_before), ['Message number 3', 'Message number 2']);
  assert.deepEqual(bodies(context.events_after), ['Message number 5']);
  assert.deepEqual(context.profile_info, { [bob.userId]: { displayname: 'bob' }, [alice.userId]: { displayname: 'alice' } });
  assert.deepEqual(Object.keys(found.state ?? {}), [room]);
  assert.ok(found.state?.[room]?.some(({ type }) => type === 'm.room.create'));
  const before = ok(await alice.get<{ chunk: Event[] }>(`/rooms/${id(room)}/messages?dir=b&limit=1&from=${id(context.start ?? '')}`));
  assert.deepEqual(bodies(before.chunk), ['Message number 1']);
  const after = ok(await alice.get<{ chunk: Event[] }>(`/rooms/${id(room)}/messages?dir=f&limit=1&from=${id(context.end ?? '')}`));
  assert.deepEqual(bodies(after.chunk), ['Message number 6']);
  const usual = (await search(alice, 'message 7', { event_context: {} })).results[0]?.context;
  assert.deepEqual([usual?.events_before?.length, usual?.profile_info], [5, undefined]);
  const none = (await search(alice, 'message 4', { event_context: { before_limit: 0, after_limit: -5 } })).results[0]?.context;
  assert.deepEqual([none?.events_before, none?.events_after], [[], []]);
  assert.deepEqual((await search(alice, 'message 4')).results[0]?.context, {});
});

onEachEngine('a room is searched together with those that it follows', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const old = await createRoom(alice);
  await say(alice, old, 'before the upgrade');
  const predecessor = { room_id: old, event_id: '$unknown' };
  const room = await createRoom(alice, { creation_content: { predecessor } });
  await say(alice, room, 'after the upgrade');
  ok(await bob.post(`/join/${id(room)}`));
  const wish = { order_by: 'recent', filter: { rooms: [room] } };
  assert.deepEqual(await find(alice, 'upgrade', wish), ['after the upgrade', 'before the upgrade']);
  assert.deepEqual(await find(bob, 'upgrade', wish), ['after the upgrade'], 'bob was not in the old one');
  assert.deepEqual(await find(alice, 'upgrade', { filter: { rooms: [old] } }), ['before the upgrade']);
});

onEachEngine('what was sent right before the server was killed is found', async (startOnEngine) => {
  await using server = await startOnEngine();
  const alice = await server.register('alice');
  const room = await createRoom(alice);
  await say(alice, room, 'found early');
  assert.equal((await search(alice, 'found')).count, 1);
  await Promise.all(Array.from({ length: 30 }, async (_, index) => say(alice, room, `found late ${String(index)}`)));
  await server.kill();
  await server.start();
  assert.equal((await search(alice, 'found')).count, 31);
});

onEachEngine('what is wrong with a search is said, and it can be switched off', async (startOnEngine) => {
  {
    await using server = await startOnEngine();
    const alice = await server.register('alice');
    const ask = (roomEvents: unknown, query = '') => alice.post(`/search${query}`, { search_categories: { room_events: roomEvents } });
    assertError(await ask({}), 400, 'M_MISSING_PARAM');
    assertError(await ask({ search_term: 'x', order_by: 'size' }), 400, 'M_BAD_JSON');
    assertError(await ask({ search_term: 'x', groupings: { group_by: [{ key: 'type' }] } }), 400, 'M_BAD_JSON');
    assertError(await ask({ search_term: 'x', filter: { rooms: ['no room'] } }), 400, 'M_BAD_JSON');
    assertError(await ask({ search_term: 'x' }, '?next_batch=nonsense'), 400, 'M_INVALID_PARAM');
    assert.deepEqual(ok(await alice.post('/search', { search_categories: {} })), { search_categories: {} });
    await server.stop();
  }
  await using server = await startOnEngine({ settings: { enable_search: false } });
  const alice = await server.register('alicia');
  assertError(await alice.post('/search', { search_categories: { room_events: { search_term: 'x' } } }), 400, 'M_UNKNOWN');
});
