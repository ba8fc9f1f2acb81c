import type { JsonObject, JsonValue } from '#src/protocol/json.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import { initialPowerLevels } from '#src/rooms/creation/power-levels.ts';
import { type Preset, PRESETS } from '#src/rooms/creation/presets.ts';

/** The body of a request for a new room, in its right form. */
export interface RoomRequest {
  readonly visibility?: 'public' | 'private';
  readonly room_alias_name?: string;
  readonly name?: string;
  readonly topic?: string;
  readonly invite?: readonly string[];
  readonly invite_3pid?: readonly JsonObject[];
  readonly room_version?: string;
  readonly creation_content?: JsonObject;
  readonly initial_state?: readonly { readonly type: string; readonly state_key?: string; readonly content: JsonObject }[];
  readonly preset?: Preset;
  readonly is_direct?: boolean;
  readonly power_level_content_override?: JsonObject;
}

/** A state event of a new room. */
export interface InitialEvent {
  readonly type: string;
  readonly stateKey: string;
  readonly content: JsonObject;
}

export interface Plan {
  readonly request: RoomRequest;
  readonly version: RoomVersion;
  readonly creator: string;
  /** The alias to be made with the room. */
  readonly alias: string | undefined;
  /** `default_power_level_content_override` for the room's preset. */
  readonly powerLevelDefaults: JsonObject | undefined;
  /** Whether the configuration wants such rooms encrypted. */
  readonly encrypted: boolean;
}

export const presetOf = ({ preset, visibility }: Pick<RoomRequest, 'preset' | 'visibility'>): Preset =>
  preset ?? (visibility === 'public' ? 'public_chat' : 'private_chat');

const strings = (value: JsonValue | undefined): readonly string[] =>
  Array.isArray(value) ? (value as readonly JsonValue[]).filter((each) => typeof each === 'string') : [];

/** The content of the create event. Who is trusted with the room from its start is, from version 12, one of its creators. */
export const createContent = ({ request, version, creator }: Pick<Plan, 'request' | 'version' | 'creator'>): JsonObject => {
  const { creator: _, additional_creators: additional, ...rest } = request.creation_content ?? {};
  const invitees = request.invite ?? [];
  const isShared = version.privilegedCreators && PRESETS[presetOf(request)].trustsInvitees && invitees.length > 0;
  const creators = isShared ? [...new Set([...strings(additional), ...invitees])] : additional;
  return {
    ...rest,
    ...(creators === undefined ? {} : { additional_creators: creators }),
    ...(version.creator === 'content' ? { creator } : {}),
    room_version: version.id,
  };
};

const state = (type: string, content: JsonObject, stateKey = ''): InitialEvent => ({ type, stateKey, content });

/** What the request sets itself: the last word on each key, at the place of the first. */
const requestedState = (request: RoomRequest): InitialEvent[] => {
  const byKey = new Map<string, InitialEvent>();
  for (const { type, state_key: stateKey = '', content } of request.initial_state ?? []) {
    byKey.set(JSON.stringify([type, stateKey]), { type, stateKey, content });
  }
  return [...byKey.values()];
};

const isAt = (type: string) => (event: InitialEvent) => event.type === type && event.stateKey === '';

/** The preset's state; `requested` events take its place. */
const presetState = (preset: Preset): InitialEvent[] => {
  const rules = PRESETS[preset];
  return [
    state('m.room.join_rules', { join_rule: rules.joinRule }),
    state('m.room.history_visibility', { history_visibility: rules.historyVisibility }),
    ...(rules.guestsMayJoin ? [state('m.room.guest_access', { guest_access: 'can_join' })] : []),
  ];
};

const firstLevels = (plan: Plan): InitialEvent => {
  const { request, version, creator, powerLevelDefaults } = plan;
  const content = initialPowerLevels({
    version,
    creator,
    invitees: request.invite ?? [],
    preset: presetOf(request),
    configOverride: powerLevelDefaults,
    requestOverride: request.power_level_content_override,
  });
  return state('m.room.power_levels', content);
};

/**
 * All state of a new room between its creator's join and the invites, in the order of the specification (client-server API,
 * `POST /createRoom`). What the configuration wants encrypted is, unless the request sets an algorithm of its own.
 */
export const initialEvents = (plan: Plan): InitialEvent[] => {
  const { request, alias } = plan;
  const requested = requestedState(request);
  const levels = requested.find(isAt('m.room.power_levels'));
  const aliasEvents = alias === undefined ? [] : [state('m.room.canonical_alias', { alias })];
  const implied = [...aliasEvents, ...presetState(presetOf(request))].filter((event) => !requested.some(isAt(event.type)));
  const isEncrypted = typeof requested.find(isAt('m.room.encryption'))?.content.algorithm === 'string';
  const { name, topic } = request;
  return [
    levels ?? firstLevels(plan),
    ...implied,
    ...requested.filter((event) => event !== levels),
    ...(plan.encrypted && !isEncrypted ? [state('m.room.encryption', { algorithm: 'm.megolm.v1.aes-sha2' })] : []),
    ...(name === undefined ? [] : [state('m.room.name', { name })]),
    ...(topic === undefined ? [] : [state('m.room.topic', { topic, 'm.topic': { 'm.text': [{ body: topic }] } })]),
  ];
};
