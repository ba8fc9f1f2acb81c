// Random stories of devices, their keys and who shares rooms, with requests side by side and kills among them: no one-time key is handed out twice, each
// sync counts right, and clients that ask for what they are told has changed have everybody's current keys, whatever token they come from.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { signJson } from '#src/protocol/signatures.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { ok, personOf, type Json, type Person, type Reply, type Session } from './support/client.ts';
import { crossSigning, signedDevice } from './support/cross-signing.ts';
import { onEachEngine } from './support/engines.ts';
import type { Server } from './support/server.ts';

const IS_LONG = process.env['MYELIN_LONG'] === '1';
const STORIES = IS_LONG ? 1_000_000 : 4;
/** Less than the ten minutes after which a test is ended. */
const LONG_MS = 9.5 * 60_000;
const PEOPLE = 4;
const ROOMS = 3;
const DEVICES = 3;
const ALGORITHM = 'signed_curve25519';

interface Sync {
  readonly next_batch: string;
  readonly device_lists?: { readonly changed?: readonly string[]; readonly left?: readonly string[] };
  readonly device_one_time_keys_count: Readonly<Record<string, number>>;
  readonly device_unused_fallback_key_types: readonly string[];
  readonly rooms?: { readonly join?: Readonly<Record<string, { readonly state: Events; readonly timeline: Events }>> };
}
type Events = { readonly events: readonly { readonly type: string; readonly state_key?: string; readonly content: Json }[] };

/** Whose keys a client has, as texts. */
type Tracked = Map<string, string>;

/** A device, what it believes of others' keys, and what is known of its own. */
interface Device {
  readonly person: Person;
  readonly name: string;
  since: string;
  tracked: Tracked;
  /** Where it stood before, for clients that come back from there. */
  readonly past: { readonly since: string; readonly tracked: Tracked }[];
  /** One-time keys whose upload was answered for, in order. */
  readonly made: string[];
  /** An upload that a kill left without an answer; the client makes it again before any other. */
  unanswered: { readonly keys: readonly string[]; readonly fallback: string | undefined } | undefined;
  readonly handed: Set<string>;
  /** Keys that went out with answers that were lost, and answers that may have been. */
  gone: number;
  lostClaims: number;
  fallback: string | undefined;
  /** Whether somebody was given the fallback key; undefined when a lost answer may have had it. */
  isFallbackUsed: boolean | undefined;
  /** The keys of the last upload, for a client that did not see its answer. */
  lastUpload: Json;
  isUploading: boolean;
  isLeaving: boolean;
  readonly owner: User;
}

interface User {
  readonly home: Person;
  readonly devices: Map<string, Device>;
  readonly loggingIn: Set<string>;
  /** How often the cross-signing keys were made anew. */
  identity: number;
  /** Whose master keys this user has perhaps signed. */
  readonly signed: Set<string>;
}

interface World {
  readonly server: Server;
  readonly users: readonly User[];
  readonly rooms: readonly string[];
  /** All keys that anybody was given. */
  readonly given: Set<string>;
  /** What the claims of a burst found: by device, the names of the keys. */
  claimed: { readonly device: Device; readonly key: string | undefined }[];
  next: number;
  isKilled: boolean;
}

const id = encodeURIComponent;
const localpartOf = ({ userId }: Person): string => userId.slice(1, userId.indexOf(':'));

/** A request whose answer may be lost in a kill; undefined then, and when the device was deleted meanwhile. */
const attempt = async <Body>(world: World, device: Device | undefined, request: Promise<Reply<Body>>): Promise<Body | undefined> => {
  try {
    const reply = await request;
    if (reply.status === 401 && device?.isLeaving === true) return undefined;
    return ok(reply);
  } catch (error) {
    if (error instanceof assert.AssertionError || !world.isKilled) throw error;
    return undefined;
  }
};

/** What may be refused by a room's rules, or because somebody else was faster. */
const perhaps = async (world: World, request: Promise<Reply<unknown>>): Promise<void> => {
  await request.catch((error: unknown) => {
    if (error instanceof assert.AssertionError || !world.isKilled) throw error;
  });
};

type Usages = 'master_keys' | 'self_signing_keys' | 'user_signing_keys';
type Query = Readonly<Record<'device_keys' | Usages, Readonly<Record<string, unknown>>>>;

/** What the server says of users' keys, of each as a text. */
const queryKeys = async (person: Person, userIds: readonly string[]): Promise<Tracked> => {
  if (userIds.length === 0) return new Map();
  const body = ok(await person.post<Query>('/keys/query', { device_keys: Object.fromEntries(userIds.map((userId) => [userId, []])) }));
  const parts = ['device_keys', 'master_keys', 'self_signing_keys', 'user_signing_keys'] as const;
  return new Map(userIds.map((userId) => [userId, JSON.stringify(parts.map((part) => body[part][userId] ?? null))]));
};

/** Does what a client does with `device_lists`. */
const applyLists = async (
  device: Device,
  tracked: Tracked,
  { changed = [], left = [] }: NonNullable<Sync['device_lists']>,
): Promise<void> => {
  assert.ok(!changed.some((userId) => left.includes(userId)), 'nobody has both changed and left');
  for (const [userId, text] of await queryKeys(device.person, changed)) tracked.set(userId, text);
  for (const userId of left) tracked.delete(userId);
};

/** A sync whose answer no other request shares. */
const freshSync = (world: World, person: Person, since: string): Promise<Reply<Sync>> =>
  person.get<Sync>(
    `/sync?timeout=0&since=${id(since)}&filter=${id(JSON.stringify({ room: { timeline: { limit: 1 + (world.next++ % 1000) } } }))}`,
  );

const goOn = async (device: Device, answer: Sync): Promise<void> => {
  const tracked: Tracked = new Map(device.tracked);
  await applyLists(device, tracked, answer.device_lists ?? {});
  device.past.push({ since: device.since, tracked: device.tracked });
  device.since = answer.next_batch;
  device.tracked = tracked;
};

/** Those with whom a person shares a room, and the person, asked of the rooms themselves. */
const sharers = async (person: Person): Promise<string[]> => {
  const found = new Set([person.userId]);
  for (const room of ok(await person.get<{ joined_rooms: string[] }>('/joined_rooms')).joined_rooms) {
    const { joined } = ok(await person.get<{ joined: Json }>(`/rooms/${id(room)}/joined_members`));
    for (const userId of Object.keys(joined)) found.add(userId);
  }
  return [...found].toSorted();
};

const checkTracked = async ({ person, owner }: Device, tracked: Tracked, from: string): Promise<void> => {
  const shared = await sharers(person);
  // Of signatures one is told wherever their subject is; it follows from none that these are to be followed.
  for (const userId of owner.signed) if (!shared.includes(userId)) tracked.delete(userId);
  // A client need not be told of itself until something changes.
  const believed = [...tracked.keys()].filter((userId) => userId !== person.userId);
  assert.deepEqual(
    believed.toSorted(),
    shared.filter((userId) => userId !== person.userId),
    `whom ${person.userId} follows, ${from}`,
  );
  const now = await queryKeys(person, shared);
  for (const [userId, text] of tracked) assert.equal(text, now.get(userId), `the keys of ${userId} that ${person.userId} has, ${from}`);
};

/** Holds what a sync says of the device's own keys against the model. */
const checkCounts = (device: Device, answer: Sync): void => {
  const count = answer.device_one_time_keys_count[ALGORITHM] ?? 0;
  const whose = `of ${device.person.userId} ${device.name}`;
  const most = device.made.length - device.gone - [...device.handed].filter((key) => device.made.includes(key)).length;
  const doubtful = device.unanswered?.keys.filter((key) => !device.handed.has(key)).length ?? 0;
  assert.ok(count >= most - device.lostClaims && count <= most + doubtful, `${String(count)} keys ${whose}, and not ${String(most)}`);
  if (device.unanswered !== undefined) return;
  device.gone += most - count;
  device.lostClaims = 0;
  for (const key of device.handed) assert.ok(device.made.indexOf(key) < device.made.length - count, `${key} was not the oldest ${whose}`);
  const isUnused = answer.device_unused_fallback_key_types.includes(ALGORITHM);
  device.isFallbackUsed ??= !isUnused;
  assert.equal(isUnused, device.fallback !== undefined && !device.isFallbackUsed, `the fallback key ${whose}`);
};

/** Brings a device up to date while nothing else happens, and holds all that it knows against the server. */
const check = async (world: World, device: Device): Promise<void> => {
  const answer = ok(await freshSync(world, device.person, device.since));
  checkCounts(device, answer);
  await goOn(device, answer);
  await checkTracked(device, device.tracked, 'at rest');
};

/** Comes back with a token from before, by `/sync` and by `/keys/changes`. */
const checkFromPast = async (world: World, device: Device, choice: number): Promise<void> => {
  const from = device.past[choice % device.past.length];
  if (from === undefined) return;
  for (const way of ['/sync', '/keys/changes']) {
    const lists =
      way === '/sync'
        ? (ok(await freshSync(world, device.person, from.since)).device_lists ?? {})
        : ok(await device.person.get(`/keys/changes?from=${id(from.since)}&to=${id(device.since)}`));
    const tracked: Tracked = new Map(from.tracked);
    await applyLists(device, tracked, lists);
    await checkTracked(device, tracked, `from ${from.since} by ${way}`);
  }
};

const keyObject = (device: Device, name: string, more: Json = {}): Json => ({
  key: name.padEnd(43, 'x'),
  signatures: { [device.person.userId]: { [`ed25519:${device.name}`]: 'not looked at' } },
  ...more,
});

/** Uploads new one-time keys, and perhaps a fallback key; what was not answered for comes first, as it was. */
const uploadKeys = async (world: World, device: Device, count: number, withFallback: boolean): Promise<void> => {
  if (device.isUploading) return;
  device.isUploading = true;
  const names = Array.from({ length: count }, () => `${ALGORITHM}:k${String(world.next++)}`);
  const keys = [...(device.unanswered?.keys ?? []), ...names];
  const fallback = withFallback ? `${ALGORITHM}:f${String(world.next++)}` : device.unanswered?.fallback;
  device.unanswered = { keys, fallback };
  device.lastUpload = {
    one_time_keys: Object.fromEntries(keys.map((name) => [name, keyObject(device, name)])),
    ...(fallback !== undefined && { fallback_keys: { [fallback]: keyObject(device, fallback, { fallback: true }) } }),
  };
  const answer = await attempt(world, device, device.person.post('/keys/upload', device.lastUpload));
  device.isUploading = false;
  if (answer === undefined) return;
  device.made.push(...keys);
  if (fallback !== undefined) {
    device.fallback = fallback;
    device.isFallbackUsed = world.given.has(fallback);
  }
  device.unanswered = undefined;
};

/** Logs in, publishes keys, and asks for those of all whom a first sync names. */
const beginDevice = async (world: World, user: User, name: string): Promise<Device | undefined> => {
  const request = { type: 'm.login.password', identifier: { type: 'm.id.user', user: user.home.userId } };
  const password = `password of ${localpartOf(user.home)}`;
  const session = await attempt(world, undefined, world.server.anybody.post<Session>('/login', { ...request, password, device_id: name }));
  if (session === undefined) return undefined;
  const person = personOf(world.server.pool, session);
  const keys = { device_keys: signedDevice(person.userId, name, String(world.next++)).json };
  const first = await attempt(world, undefined, person.post('/keys/upload', keys));
  const sync = first && (await attempt(world, undefined, person.get<Sync>('/sync?timeout=0')));
  if (sync === undefined) return undefined;
  const members = new Map<string, unknown>();
  for (const [room, { state, timeline }] of Object.entries(sync.rooms?.join ?? {}))
    for (const event of [...state.events, ...timeline.events])
      if (event.type === 'm.room.member') members.set(`${room} ${event.state_key ?? ''}`, event.content['membership']);
  const inRooms = [...members].filter(([, membership]) => membership === 'join').map(([key]) => key.slice(key.indexOf(' ') + 1));
  const tracked = await queryKeys(person, [...new Set(inRooms)]).catch((error: unknown) => {
    if (error instanceof assert.AssertionError || !world.isKilled) throw error;
  });
  if (tracked === undefined) return undefined;
  return {
    person,
    name,
    since: sync.next_batch,
    tracked,
    past: [],
    made: [],
    unanswered: undefined,
    handed: new Set(),
    gone: 0,
    lostClaims: 0,
    fallback: undefined,
    isFallbackUsed: false,
    lastUpload: {},
    isUploading: false,
    isLeaving: false,
    owner: user,
  };
};

const logIn = async (world: World, user: User, name: string): Promise<void> => {
  // A second login on a device ends the first.
  if (user.devices.has(name) || user.loggingIn.has(name)) return;
  user.loggingIn.add(name);
  const device = await beginDevice(world, user, name);
  user.loggingIn.delete(name);
  if (device !== undefined) user.devices.set(name, device);
};

const claim = async (world: World, person: Person, owners: readonly User[]): Promise<void> => {
  const wanted = owners.map((owner) => [owner.home.userId, [...owner.devices.values()]] as const);
  const body = Object.fromEntries(
    wanted.map(([userId, devices]) => [userId, Object.fromEntries(devices.map(({ name }) => [name, ALGORITHM]))]),
  );
  type Answer = { readonly one_time_keys: Readonly<Record<string, Readonly<Record<string, Json>>>> };
  const answer = await attempt(world, undefined, person.post<Answer>('/keys/claim', { one_time_keys: body }));
  for (const [userId, devices] of wanted) {
    for (const device of devices) {
      if (answer === undefined) {
        device.lostClaims += 1;
        if (device.isFallbackUsed === false) device.isFallbackUsed = undefined;
        continue;
      }
      const [key] = Object.keys(answer.one_time_keys[userId]?.[device.name] ?? {});
      world.claimed.push({ device, key });
      if (key === undefined) continue;
      if (!key.startsWith(`${ALGORITHM}:f`)) {
        assert.ok(!world.given.has(key), `${key} was handed out twice`);
        device.handed.add(key);
      } else if (key === device.fallback) {
        device.isFallbackUsed = true;
      }
      world.given.add(key);
    }
  }
};

/** New cross-signing keys: the first without confirming, the others with it. */
const uploadIdentity = async (world: World, user: User): Promise<void> => {
  user.identity += 1;
  const { body } = crossSigning(user.home.userId, String(user.identity));
  const path = '/keys/device_signing/upload';
  const first = await user.home.post(path, body).catch((error: unknown) => {
    if (error instanceof assert.AssertionError || !world.isKilled) throw error;
  });
  if (first?.status !== 401) return;
  const password = `password of ${localpartOf(user.home)}`;
  const identifier = { type: 'm.id.user', user: user.home.userId };
  const auth = { type: 'm.login.password', identifier, password, session: first.body['session'] };
  await perhaps(world, user.home.post(path, { ...body, auth }));
};

/** Signs one of the own devices, and another user's master key. */
const sign = async (world: World, user: User, other: User, device: Device): Promise<void> => {
  const [own, others] = [crossSigning(user.home.userId, String(user.identity)), crossSigning(other.home.userId, String(other.identity))];
  const device_keys = { [user.home.userId]: [device.name] };
  type Answer = { readonly device_keys: Readonly<Record<string, Readonly<Record<string, JsonObject>>>> };
  const keys = await attempt(world, device, device.person.post<Answer>('/keys/query', { device_keys }));
  const stored = keys?.device_keys[user.home.userId]?.[device.name];
  if (stored === undefined) return;
  const { unsigned: _, ...bare } = stored;
  if (other !== user) user.signed.add(other.home.userId);
  const signed = {
    [user.home.userId]: { [device.name]: signJson(bare, user.home.userId, own.selfSigning) },
    ...(other !== user && {
      [other.home.userId]: { [others.master.publicKey]: signJson(others.masterObject, user.home.userId, own.userSigning) },
    }),
  };
  await perhaps(world, user.home.post('/keys/signatures/upload', signed));
};

const VERBS = [
  'join',
  'join',
  'join',
  'leave',
  'leave',
  'kick',
  'ban',
  'unban',
  'say',
  'login',
  'login',
  'logout',
  'rename',
  'rekey',
  'upload',
  'upload',
  'upload',
  'repeat',
  'fallback',
  'claim',
  'claim',
  'claim',
  'claim',
  'identity',
  'sign',
  'sync',
  'sync',
] as const;
const action = fc.record({
  verb: fc.constantFrom(...VERBS),
  who: fc.nat(PEOPLE - 1),
  whom: fc.nat(PEOPLE - 1),
  where: fc.nat(ROOMS - 1),
  value: fc.nat(DEVICES - 1),
});
type Action = ReturnType<typeof action.generate>['value'];

/** Requests that are made at once; some end in a kill, so many milliseconds later. */
const burst = fc.record({
  actions: fc.array(action, { minLength: 1, maxLength: 6 }),
  killAfterMs: fc.oneof({ weight: IS_LONG ? 12 : 20, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat(15) }),
  choice: fc.nat(1000),
});
type Burst = ReturnType<typeof burst.generate>['value'];

const act = async (world: World, { verb, who, whom, where, value }: Action): Promise<void> => {
  const [user, other, roomId] = [world.users[who], world.users[whom], world.rooms[where]] as [User, User, string];
  const room = `/rooms/${id(roomId)}`;
  const device = user.devices.get(`D${String(value)}`);
  if (verb === 'join' || verb === 'leave') await perhaps(world, user.home.post(`${room}/${verb}`));
  if (verb === 'kick' || verb === 'ban' || verb === 'unban')
    await perhaps(world, user.home.post(`${room}/${verb}`, { user_id: other.home.userId }));
  if (verb === 'say')
    await perhaps(world, user.home.put(`${room}/send/m.room.message/${String(world.next++)}`, { msgtype: 'm.text', body: 'x' }));
  if (verb === 'login') await logIn(world, user, `D${String(value)}`);
  if (verb === 'claim') await claim(world, user.home, who === whom ? [user] : [user, other]);
  if (verb === 'identity') await uploadIdentity(world, user);
  if (device === undefined) return;
  if (verb === 'sign') await sign(world, user, other, device);
  if (verb === 'upload' || verb === 'fallback') await uploadKeys(world, device, value, verb === 'fallback');
  // Not while it waits for an answer; then it does so by itself.
  if (verb === 'repeat' && !device.isUploading && device.unanswered === undefined)
    await attempt(world, device, device.person.post('/keys/upload', device.lastUpload));
  if (verb === 'rename') await perhaps(world, user.home.put(`/devices/${device.name}`, { display_name: `name ${String(world.next++)}` }));
  if (verb === 'rekey') {
    const { json } = signedDevice(user.home.userId, device.name, String(world.next++));
    await attempt(world, device, device.person.post('/keys/upload', { device_keys: json }));
  }
  if (verb === 'sync') {
    const since = device.since;
    const answer = await attempt(world, device, device.person.get<Sync>(`/sync?timeout=0&since=${id(since)}`));
    // Two syncs at once: the client goes on with one of them. One that is deleted meanwhile cannot ask for keys any more.
    if (answer !== undefined && device.since === since)
      await goOn(device, answer).catch((error: unknown) => {
        if (!world.isKilled && !device.isLeaving) throw error;
      });
  }
  if (verb === 'logout') {
    device.isLeaving = true;
    const gone = await attempt(world, device, device.person.post('/logout'));
    if (gone !== undefined) user.devices.delete(device.name);
  }
};

const devicesOf = (world: World): Device[] => world.users.flatMap((user) => [...user.devices.values()]);

/** Who claims keys that nobody uploads meanwhile gets the oldest, as many as there are, and then the fallback key. */
const checkClaims = (
  world: World,
  before: ReadonlyMap<Device, { readonly left: readonly string[] | undefined }>,
  uploaders: ReadonlySet<Device>,
): void => {
  for (const [device, claims] of Map.groupBy(world.claimed, (each) => each.device)) {
    const left = before.get(device)?.left;
    if (left === undefined || uploaders.has(device) || device.isLeaving) continue;
    const wanted = [...left.slice(0, claims.length), ...claims.slice(left.length).map(() => device.fallback)];
    assert.deepEqual(claims.map(({ key }) => key).toSorted(), wanted.toSorted(), `claimed of ${device.person.userId} ${device.name}`);
  }
};

/** The one-time keys that a device must have; undefined when a lost answer leaves that open. */
const leftOf = (device: Device): readonly string[] | undefined =>
  device.unanswered !== undefined || device.lostClaims > 0 || device.isFallbackUsed === undefined
    ? undefined
    : device.made.slice(device.handed.size + device.gone);

const settleAfterKill = async (world: World): Promise<void> => {
  await world.server.start();
  world.isKilled = false;
  for (const user of world.users) {
    for (const device of user.devices.values()) {
      if (!device.isLeaving) continue;
      if ((await device.person.get('/account/whoami')).status === 401) user.devices.delete(device.name);
      else device.isLeaving = false;
    }
  }
};

const play = async (world: World, { actions, killAfterMs, choice }: Burst): Promise<void> => {
  world.claimed = [];
  const before = new Map(devicesOf(world).map((device) => [device, { left: leftOf(device) }]));
  const named = ({ who, value }: Action): Device | undefined => world.users[who]?.devices.get(`D${String(value)}`);
  const uploads = actions.filter(({ verb }) => verb === 'upload' || verb === 'fallback').map(named);
  const running = actions.map((each) => act(world, each));
  if (killAfterMs === null) {
    await Promise.all(running);
  } else {
    await sleep(killAfterMs);
    world.isKilled = true;
    await world.server.kill();
    await Promise.all(running);
    await settleAfterKill(world);
  }
  // Devices that were looked at before and are no more are of no interest.
  const present = new Set(devicesOf(world));
  world.claimed = world.claimed.filter(({ device }) => present.has(device));
  if (killAfterMs === null) checkClaims(world, before, new Set(uploads.filter((each) => each !== undefined)));
  const devices = devicesOf(world);
  const one = devices[choice % devices.length];
  if (one === undefined) return;
  await check(world, one);
  if (choice % 3 === 0) await checkFromPast(world, one, choice);
};

onEachEngine('devices, their keys and who hears of them, in random stories with kills', async (startOnEngine) => {
  await using server = await startOnEngine();
  let story = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(burst, { minLength: 20, maxLength: 60 }), async (bursts) => {
      const prefix = `s${String(story++)}`;
      const homes = await Promise.all(Array.from({ length: PEOPLE }, (_, index) => server.register(`${prefix}p${String(index)}`)));
      const users = homes.map((home): User => ({ home, devices: new Map(), loggingIn: new Set(), identity: 0, signed: new Set() }));
      const rooms: string[] = [];
      const encryption = { type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } };
      for (const owner of homes.slice(0, ROOMS)) {
        const request = { preset: 'public_chat', initial_state: rooms.length < 2 ? [encryption] : [] };
        rooms.push(ok(await owner.post<{ room_id: string }>('/createRoom', request)).room_id);
      }
      const world: World = { server, users, rooms, given: new Set(), claimed: [], next: 0, isKilled: false };
      for (const user of users) await logIn(world, user, 'D0');
      for (const each of bursts) await play(world, each);
      for (const device of devicesOf(world)) {
        if (device.unanswered !== undefined) await uploadKeys(world, device, 1, false);
        await check(world, device);
        for (const choice of [0, 7]) await checkFromPast(world, device, choice);
      }
    }),
    { numRuns: STORIES, endOnFailure: true, ...(IS_LONG ? { interruptAfterTimeLimit: LONG_MS } : { seed: 1 }) },
  );
});

onEachEngine('who is signed and leaves at the same time has left, and not changed', async (startOnEngine) => {
  await using server = await startOnEngine();
  const [alice, bob] = [await server.register('alice'), await server.register('bob')];
  const [alices, bobs] = [crossSigning(alice.userId), crossSigning(bob.userId)];
  ok(await alice.post('/keys/device_signing/upload', alices.body));
  ok(await bob.post('/keys/device_signing/upload', bobs.body));
  const { room_id: room } = ok(await alice.post<{ room_id: string }>('/createRoom', { preset: 'public_chat' }));
  ok(await bob.post(`/join/${id(room)}`));
  const { next_batch: since } = ok(await alice.get<Sync>('/sync'));
  const signed = signJson(bobs.masterObject, alice.userId, alices.userSigning);
  assert.deepEqual(ok(await alice.post('/keys/signatures/upload', { [bob.userId]: { [bobs.master.publicKey]: signed } })), {
    failures: {},
  });
  const listsSince = async (timeout: number): Promise<unknown> =>
    ok(await alice.get<Sync>(`/sync?timeout=${String(timeout)}&since=${id(since)}`)).device_lists;
  assert.deepEqual(await listsSince(0), { changed: [bob.userId], left: [] });
  ok(await bob.post(`/rooms/${id(room)}/leave`));
  // Another request than the one before, whose answer is kept for a while.
  assert.deepEqual(await listsSince(1), { changed: [], left: [bob.userId] });
});
