import type { Pdu } from '#src/protocol/events.ts';
import type { JsonObject } from '#src/protocol/json.ts';

/**
 * The state, all with an empty state key, by which somebody who is invited or knocks may tell what room it is (client-server API,
 * Stripped state). The create event is required. The membership of who invites is usually added.
 */
export const STRIPPED_STATE_TYPES = [
  'm.room.create',
  'm.room.name',
  'm.room.avatar',
  'm.room.topic',
  'm.room.join_rules',
  'm.room.canonical_alias',
  'm.room.encryption',
] as const;

/** An event as it stands in stripped state. */
export type StrippedEvent = {
  readonly type: string;
  readonly state_key: string;
  readonly sender: string;
  readonly content: JsonObject;
};

export const strippedEvent = ({
  type,
  state_key: stateKey,
  sender,
  content,
}: Pick<Pdu, 'type' | 'state_key' | 'sender' | 'content'>): StrippedEvent => ({
  type,
  state_key: stateKey ?? '',
  sender,
  content,
});
