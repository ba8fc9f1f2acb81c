import type { Client, User } from './client.ts';
import { seedKeys } from './keys.ts';
import { prepare, someone, type Size } from './load.ts';

/** The people and rooms that every run finds. Made once a server and engine; each run works on a copy. */
export interface World {
  /** All are in the large room; the first 50 in the crowded one; the delivery room has the first and the syncers behind it. */
  readonly users: readonly User[];
  /** Somebody who is in `rooms` rooms and in no other. */
  readonly roomy: User;
  readonly alone: string;
  readonly twenty: readonly string[];
  readonly crowded: string;
  readonly delivery: string;
  readonly large: string;
  /** From where those go on who sync in the delivery room and the large one, by their index. */
  readonly tokens: readonly string[];
}

const CROWD = 50;
const SYNC_FILTER = encodeURIComponent(JSON.stringify({ room: { timeline: { limit: 20 }, state: { lazy_load_members: true } } }));

export interface SyncAnswer {
  readonly next_batch: string;
  readonly rooms?: { readonly join?: Readonly<Record<string, { readonly timeline: { readonly events: readonly TimelineEvent[] } }>> };
}
interface TimelineEvent {
  readonly content: { readonly body?: unknown };
}

export const sync = (client: Client, user: User, since: string | undefined, timeoutMs: number): Promise<SyncAnswer> =>
  client.call(
    'GET',
    `/sync?filter=${SYNC_FILTER}&set_presence=offline&timeout=${String(timeoutMs)}${since === undefined ? '' : `&since=${encodeURIComponent(since)}`}`,
    user,
  );

export const createRoom = async (client: Client, user: User, name: string): Promise<string> => {
  const { room_id } = await client.call<{ room_id: string }>('POST', '/createRoom', user, { preset: 'public_chat', name });
  return room_id;
};

/** The keyword of somebody who has one. Some messages in crowded rooms have it. */
export const keywordOf = (index: number): string => `keyword${String(index)}`;

/** Of the members of crowded rooms one in five has rules: in turn a keyword, a mute, and to be told only of mentions. */
const giveRules = async (client: Client, users: readonly User[], index: number, roomIds: readonly string[]): Promise<void> => {
  const user = someone(users, index);
  const put = async (rule: string, body: object): Promise<unknown> => client.call('PUT', `/pushrules/global/${rule}`, user, body);
  const kind = (index / 5) % 3;
  if (kind === 0) {
    await put(`content/${keywordOf(index)}`, { pattern: keywordOf(index), actions: ['notify', { set_tweak: 'highlight' }] });
    return;
  }
  for (const roomId of roomIds) {
    if (kind === 1) {
      const conditions = [{ kind: 'event_match', key: 'room_id', pattern: roomId }];
      await put(`override/${encodeURIComponent(roomId)}`, { conditions, actions: [] });
    } else {
      await put(`room/${encodeURIComponent(roomId)}`, { actions: [] });
    }
  }
};

/** Makes all that the phases need, on an empty server. */
export const seed = async (client: Client, size: Size): Promise<World> => {
  const users: User[] = [];
  await prepare(4, size.members, async (index) => {
    users[index] = await client.register(`user${String(index)}`);
  });
  const roomy = await client.register('roomy');
  await prepare(1, size.rooms, (index) => createRoom(client, roomy, `room ${String(index)}`));
  const first = someone(users, 0);
  const alone = await createRoom(client, first, 'one after another');
  const twenty: string[] = [];
  for (let index = 0; index < 20; index++) twenty.push(await createRoom(client, someone(users, index), `busy ${String(index)}`));
  const withMembers = async (name: string, members: number): Promise<string> => {
    const roomId = await createRoom(client, first, name);
    await prepare(4, members - 1, (index) => client.call('POST', `/join/${encodeURIComponent(roomId)}`, someone(users, index + 1), {}));
    return roomId;
  };
  const crowded = await withMembers('crowded', CROWD);
  const delivery = await withMembers('delivery', size.syncers + 1);
  const large = await withMembers('large', size.members);
  await prepare(4, Math.floor(size.members / 5), (index) => giveRules(client, users, index * 5, [crowded, delivery, large]));
  await seedKeys(client, users, size);
  const tokens: string[] = [];
  await prepare(4, Math.max(size.syncers, size.largeSyncers) + 1, async (index) => {
    tokens[index] = (await sync(client, someone(users, index), undefined, 0)).next_batch;
  });
  return { users, roomy, alone, twenty, crowded, delivery, large, tokens };
};
