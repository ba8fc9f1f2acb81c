import { isRoomAlias } from '#src/protocol/identifiers.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '#src/protocol/json.ts';

/** A room as the list of public rooms shows it. */
export interface RoomEntry {
  readonly room_id: string;
  readonly num_joined_members: number;
  readonly world_readable: boolean;
  readonly guest_can_join: boolean;
  readonly join_rule?: string;
  readonly name?: string;
  readonly topic?: string;
  readonly canonical_alias?: string;
  readonly avatar_url?: string;
  readonly room_type?: string;
}

/** The contents of a room's state events by type, for those types that an entry tells of. */
export type EntryState = ReadonlyMap<string, JsonObject>;

/** The types of state, all with an empty state key, of which an entry is made. */
export const ENTRY_TYPES = [
  'm.room.create',
  'm.room.join_rules',
  'm.room.history_visibility',
  'm.room.guest_access',
  'm.room.name',
  'm.room.topic',
  'm.room.canonical_alias',
  'm.room.avatar',
] as const;

const text = (value: JsonValue | undefined): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

/** The topic's plain text: where it has several forms the one that says so, or says nothing (specification: `m.room.topic`). */
const plainTopic = (content: JsonObject | undefined): string | undefined => {
  const block = content?.['m.topic'];
  const forms = isJsonObject(block) ? block['m.text'] : undefined;
  if (!Array.isArray(forms)) return text(content?.topic);
  const plain = (forms as readonly JsonValue[]).find((form) => isJsonObject(form) && (form.mimetype ?? 'text/plain') === 'text/plain');
  return isJsonObject(plain) ? text(plain.body) : undefined;
};

const WITHOUT_INVITE: ReadonlySet<unknown> = new Set(['public', 'knock', 'knock_restricted']);

/** Whether there is something for strangers: a room that was published and then closed is not listed. */
export const isForStrangers = (state: EntryState): boolean =>
  WITHOUT_INVITE.has(state.get('m.room.join_rules')?.join_rule) ||
  state.get('m.room.history_visibility')?.history_visibility === 'world_readable';

export const roomEntry = (roomId: string, joined: number, state: EntryState): RoomEntry => {
  const alias = state.get('m.room.canonical_alias')?.alias;
  const avatar = text(state.get('m.room.avatar')?.url);
  const fields = {
    join_rule: text(state.get('m.room.join_rules')?.join_rule),
    name: text(state.get('m.room.name')?.name),
    topic: plainTopic(state.get('m.room.topic')),
    canonical_alias: isRoomAlias(alias) ? alias : undefined,
    avatar_url: avatar?.startsWith('mxc://') === true ? avatar : undefined,
    room_type: text(state.get('m.room.create')?.type),
  };
  return {
    room_id: roomId,
    num_joined_members: joined,
    world_readable: state.get('m.room.history_visibility')?.history_visibility === 'world_readable',
    guest_can_join: state.get('m.room.guest_access')?.guest_access === 'can_join',
    ...(Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<RoomEntry>),
  };
};

/** What rooms are looked for. */
export interface RoomSearch {
  /** Found in names, topics and canonical aliases, in capitals or not. */
  readonly term: string | undefined;
  /** Undefined in it stands for rooms without a type. */
  readonly types: ReadonlySet<string | undefined> | undefined;
}

export const isFound = (entry: RoomEntry, { term, types }: RoomSearch): boolean => {
  if (types !== undefined && !types.has(entry.room_type)) return false;
  if (term === undefined) return true;
  const wanted = term.toLowerCase();
  return [entry.name, entry.topic, entry.canonical_alias].some((each) => each?.toLowerCase().includes(wanted));
};
