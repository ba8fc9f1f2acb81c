import { badJson, notJson } from '#src/protocol/errors.ts';
import { compile } from '#src/platform/schema.ts';
import type { Checker } from '#src/platform/schema.ts';
import { RoomEventFilterJson, SyncFilterJson } from '#src/filters/schema.ts';

/** What of a room's events somebody wants to see. What is undefined does not restrict. */
export interface RoomEventFilter {
  /** Of events to give; 0 gives none. */
  readonly limit: number | undefined;
  readonly senders: ReadonlySet<string> | undefined;
  readonly notSenders: ReadonlySet<string>;
  /** Types, of which `*` stands for any sequence of characters. */
  readonly types: TypePatterns | undefined;
  readonly notTypes: TypePatterns | undefined;
  readonly rooms: ReadonlySet<string> | undefined;
  readonly notRooms: ReadonlySet<string>;
  /** Only events with, or without, a `url` in their content. */
  readonly containsUrl: boolean | undefined;
  readonly labels: ReadonlySet<string> | undefined;
  readonly notLabels: ReadonlySet<string>;
  readonly relTypes: ReadonlySet<string> | undefined;
  readonly notRelTypes: ReadonlySet<string>;
  readonly relatedBySenders: ReadonlySet<string> | undefined;
  readonly relatedByRelTypes: ReadonlySet<string> | undefined;
  readonly lazyLoadMembers: boolean;
  readonly includeRedundantMembers: boolean;
  readonly unreadThreadNotifications: boolean;
}

/** Exact types, and for those with a `*` the pieces between. */
export interface TypePatterns {
  readonly exact: ReadonlySet<string>;
  readonly wildcards: readonly (readonly string[])[];
}

/** A filter of `/sync`, ready to be asked. */
export interface SyncFilter {
  /** Dotted paths of what to keep of an event; undefined keeps everything. */
  readonly eventFields: readonly string[] | undefined;
  readonly eventFormat: 'client' | 'federation';
  readonly presence: RoomEventFilter;
  readonly accountData: RoomEventFilter;
  readonly rooms: ReadonlySet<string> | undefined;
  readonly notRooms: ReadonlySet<string>;
  readonly includeLeave: boolean;
  readonly timeline: RoomEventFilter;
  readonly state: RoomEventFilter;
  readonly ephemeral: RoomEventFilter;
  readonly roomAccountData: RoomEventFilter;
}

/** What a filter looks at in an event. */
export interface Filterable {
  readonly type: string;
  readonly sender: string;
  readonly roomId?: string;
  readonly content?: Readonly<Record<string, unknown>>;
}

const setOf = (items: readonly string[] | undefined): ReadonlySet<string> | undefined => items && new Set(items);

const patternsOf = (types: readonly string[] | undefined): TypePatterns | undefined =>
  types && {
    exact: new Set(types.filter((type) => !type.includes('*'))),
    wildcards: types.filter((type) => type.includes('*')).map((type) => type.split('*')),
  };

/** Whether a text has these pieces in this order, the first at its start and the last at its end. No expression: clients send the pieces. */
const matchesPieces = (text: string, pieces: readonly string[]): boolean => {
  const [first = '', ...rest] = pieces;
  const last = rest.pop() ?? '';
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
  const end = text.length - last.length;
  let from = first.length;
  for (const piece of rest) {
    const found = text.indexOf(piece, from);
    if (found === -1 || found + piece.length > end) return false;
    from = found + piece.length;
  }
  return true;
};

const matchesTypes = (type: string, patterns: TypePatterns): boolean =>
  patterns.exact.has(type) || patterns.wildcards.some((pieces) => matchesPieces(type, pieces));

const roomEventFilter = (json: RoomEventFilterJson): RoomEventFilter => ({
  limit: json.limit === undefined ? undefined : Math.max(0, Math.floor(json.limit)),
  senders: setOf(json.senders),
  notSenders: new Set(json.not_senders),
  types: patternsOf(json.types),
  notTypes: patternsOf(json.not_types),
  rooms: setOf(json.rooms),
  notRooms: new Set(json.not_rooms),
  containsUrl: json.contains_url,
  labels: setOf(json['org.matrix.labels']),
  notLabels: new Set(json['org.matrix.not_labels']),
  relTypes: setOf(json['org.matrix.msc3874.rel_types']),
  notRelTypes: new Set(json['org.matrix.msc3874.not_rel_types']),
  relatedBySenders: setOf(json.related_by_senders),
  relatedByRelTypes: setOf(json.related_by_rel_types),
  lazyLoadMembers: json.lazy_load_members ?? false,
  includeRedundantMembers: json.include_redundant_members ?? false,
  unreadThreadNotifications: json.unread_thread_notifications ?? json['org.matrix.msc3773.unread_thread_notifications'] ?? false,
});

/** Whether a filter lets an event through, by all that the event itself shows; relations to it (`relatedBy…`) need the database. */
export const allows = (filter: RoomEventFilter, { type, sender, roomId, content = {} }: Filterable): boolean => {
  if (filter.notTypes !== undefined && matchesTypes(type, filter.notTypes)) return false;
  if (filter.types !== undefined && !matchesTypes(type, filter.types)) return false;
  if (filter.notSenders.has(sender)) return false;
  if (filter.senders !== undefined && !filter.senders.has(sender)) return false;
  if (roomId !== undefined && filter.notRooms.has(roomId)) return false;
  if (roomId !== undefined && filter.rooms !== undefined && !filter.rooms.has(roomId)) return false;
  if (filter.containsUrl !== undefined && filter.containsUrl !== (typeof content['url'] === 'string')) return false;
  return allowsLabels(filter, content) && allowsRelation(filter, content);
};

const allowsLabels = ({ labels, notLabels }: RoomEventFilter, content: Readonly<Record<string, unknown>>): boolean => {
  if (labels === undefined && notLabels.size === 0) return true;
  const given = content['org.matrix.labels'];
  const has: readonly unknown[] = Array.isArray(given) ? given : [];
  if (has.some((label) => notLabels.has(label as string))) return false;
  return labels === undefined || has.some((label) => labels.has(label as string));
};

const allowsRelation = ({ relTypes, notRelTypes }: RoomEventFilter, content: Readonly<Record<string, unknown>>): boolean => {
  if (relTypes === undefined && notRelTypes.size === 0) return true;
  const relation = content['m.relates_to'] as { rel_type?: unknown } | null | undefined;
  const relType = relation?.rel_type as string;
  return !notRelTypes.has(relType) && (relTypes === undefined || relTypes.has(relType));
};

/** What has to relate to an event for it to be wanted. */
export interface RelatedBy {
  readonly types: readonly string[] | undefined;
  readonly senders: readonly string[] | undefined;
}

/** Undefined where it does not matter what relates to an event. */
export const relatedByOf = ({ relatedByRelTypes: types, relatedBySenders: senders }: RoomEventFilter): RelatedBy | undefined =>
  types === undefined && senders === undefined ? undefined : { types: types && [...types], senders: senders && [...senders] };

/** A filter of one room's events, ready to be asked. */
export interface EventFilter {
  readonly lazyLoadMembers: boolean;
  readonly relatedBy: RelatedBy | undefined;
  allows(event: Filterable): boolean;
}

let syncFilterChecker: Promise<Checker> | undefined;
let roomEventFilterChecker: Promise<Checker> | undefined;

const checked = async <Json>(checker: Promise<Checker>, json: unknown): Promise<Json> => {
  const { check, violations } = await checker;
  if (check(json)) return json as Json;
  const [first] = violations(json);
  throw badJson(`Invalid filter: ${first?.instancePath.slice(0, 100) ?? ''} ${first?.message.slice(0, 100) ?? ''}`);
};

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    throw notJson('Invalid filter JSON');
  }
};

/** Makes a filter of the JSON of one, which is checked first; throws `M_BAD_JSON`. Timelines are limited to `maxTimelineLimit`. */
export const syncFilterOf = async (json: unknown, maxTimelineLimit: number): Promise<SyncFilter> => {
  syncFilterChecker ??= compile(SyncFilterJson);
  const filter = await checked<SyncFilterJson>(syncFilterChecker, json);
  const { room = {} } = filter;
  const timeline = roomEventFilter(room.timeline ?? {});
  const { limit } = timeline;
  return {
    eventFields: filter.event_fields,
    eventFormat: filter.event_format ?? 'client',
    presence: roomEventFilter(filter.presence ?? {}),
    accountData: roomEventFilter(filter.account_data ?? {}),
    rooms: setOf(room.rooms),
    notRooms: new Set(room.not_rooms),
    includeLeave: room.include_leave ?? false,
    timeline: { ...timeline, limit: limit === undefined ? undefined : Math.min(limit, maxTimelineLimit) },
    state: roomEventFilter(room.state ?? {}),
    ephemeral: roomEventFilter(room.ephemeral ?? {}),
    roomAccountData: roomEventFilter(room.account_data ?? {}),
  };
};

/** A sync filter from its text, as `/sync?filter={…}` has it; throws `M_NOT_JSON` or `M_BAD_JSON`. */
export const parseSyncFilter = async (text: string, maxTimelineLimit: number): Promise<SyncFilter> =>
  syncFilterOf(parseJson(text), maxTimelineLimit);

/** Makes a room event filter of the JSON of one, which is checked first; throws `M_BAD_JSON`. */
export const roomEventFilterOf = async (json: unknown): Promise<RoomEventFilter> => {
  roomEventFilterChecker ??= compile(RoomEventFilterJson);
  return roomEventFilter(await checked<RoomEventFilterJson>(roomEventFilterChecker, json));
};

/** A room event filter from its text, as `/messages?filter={…}` has it; throws `M_NOT_JSON` or `M_BAD_JSON`. */
export const parseRoomEventFilter = async (text: string): Promise<RoomEventFilter> => roomEventFilterOf(parseJson(text));

/** The same, as those below who may not know filters take it: what it lets through, and whether members are loaded lazily. */
export const parseEventFilter = async (text: string): Promise<EventFilter> => {
  const filter = await parseRoomEventFilter(text);
  return { lazyLoadMembers: filter.lazyLoadMembers, relatedBy: relatedByOf(filter), allows: (event) => allows(filter, event) };
};
