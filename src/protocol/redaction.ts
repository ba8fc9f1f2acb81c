import type { CanonicalMember } from '#src/protocol/canonical-json.ts';
import type { JsonObject, JsonValue } from '#src/protocol/json.ts';
import { isJsonObject } from '#src/protocol/json.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';

interface RedactionRules {
  /** Top-level keys that stay. */
  readonly event: ReadonlySet<string>;
  /** Keys of `content` that stay, by event type; for other types none do. */
  readonly content: ReadonlyMap<string, readonly string[] | 'all'>;
}

const ALWAYS_KEPT = [
  'event_id',
  'type',
  'room_id',
  'sender',
  'state_key',
  'content',
  'hashes',
  'signatures',
  'depth',
  'prev_events',
  'auth_events',
  'origin_server_ts',
];

const keptBefore11 = new Set([...ALWAYS_KEPT, 'prev_state', 'origin', 'membership']);

const levels = ['ban', 'events', 'events_default', 'kick', 'redact', 'state_default', 'users', 'users_default'];

const content6: [string, readonly string[] | 'all'][] = [
  ['m.room.member', ['membership']],
  ['m.room.create', ['creator']],
  ['m.room.join_rules', ['join_rule']],
  ['m.room.power_levels', levels],
  ['m.room.history_visibility', ['history_visibility']],
];
const content8: typeof content6 = [...content6, ['m.room.join_rules', ['join_rule', 'allow']]];
const content9: typeof content6 = [...content8, ['m.room.member', ['membership', 'join_authorised_via_users_server']]];
const content11: typeof content6 = [
  ...content9,
  ['m.room.create', 'all'],
  ['m.room.power_levels', [...levels, 'invite']],
  ['m.room.redaction', ['redacts']],
];

/** By the room version that brought them; a later entry of a type replaces the earlier. */
const RULES: Readonly<Record<RoomVersion['redactionRules'], RedactionRules>> = {
  1: { event: keptBefore11, content: new Map([...content6, ['m.room.aliases', ['aliases']]]) },
  6: { event: keptBefore11, content: new Map(content6) },
  8: { event: keptBefore11, content: new Map(content8) },
  9: { event: keptBefore11, content: new Map(content9) },
  11: { event: new Set(ALWAYS_KEPT), content: new Map(content11) },
};

/** What stays of `content.third_party_invite` in an `m.room.member` event since version 11: its `signed`. */
const redactThirdPartyInvite = (invite: JsonObject): JsonObject => (Object.hasOwn(invite, 'signed') ? { signed: invite.signed! } : {});

/** What redaction leaves of the content of an event of this type. */
export const redactContent = (type: string, content: JsonObject, version: RoomVersion): JsonObject => {
  const kept = RULES[version.redactionRules].content.get(type) ?? [];
  if (kept === 'all') return content;
  const redacted: Record<string, JsonValue> = {};
  for (const key of kept) if (Object.hasOwn(content, key)) redacted[key] = content[key]!;
  if (version.redactionRules >= 11 && type === 'm.room.member' && isJsonObject(content.third_party_invite)) {
    redacted.third_party_invite = redactThirdPartyInvite(content.third_party_invite);
  }
  return redacted;
};

/** The event without all that its room version's redaction strips (room versions, Redactions). `unsigned` is among what goes. */
export const redact = <Event extends JsonObject & { readonly type: string; readonly content: JsonObject }>(
  event: Event,
  version: RoomVersion,
): Event => {
  const { event: kept } = RULES[version.redactionRules];
  const redacted = Object.fromEntries(Object.entries(event).filter(([key]) => kept.has(key)));
  return { ...redacted, content: redactContent(event.type, event.content, version) } as unknown as Event;
};

/**
 * The members of the redacted event among the members of the whole one. `content` is the canonical member that the redacted
 * content has.
 */
export const redactMembers = (
  members: readonly CanonicalMember[],
  content: CanonicalMember,
  version: RoomVersion,
): readonly CanonicalMember[] => {
  const { event: kept } = RULES[version.redactionRules];
  return members.filter(({ key }) => kept.has(key)).map((member) => (member.key === 'content' ? content : member));
};
