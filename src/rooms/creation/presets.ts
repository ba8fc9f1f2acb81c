import type { JsonObject } from '#src/protocol/json.ts';

export type Preset = 'private_chat' | 'trusted_private_chat' | 'public_chat';

export interface PresetRules {
  readonly joinRule: 'invite' | 'public';
  readonly historyVisibility: 'shared';
  readonly guestsMayJoin: boolean;
  /** Whether those who are invited with the room's creation stand beside its creator. */
  readonly trustsInvitees: boolean;
  /** What is laid over the usual power levels, key by key down to the last. */
  readonly powerLevels: JsonObject;
}

const PRIVATE: PresetRules = {
  joinRule: 'invite',
  historyVisibility: 'shared',
  guestsMayJoin: true,
  trustsInvitees: false,
  powerLevels: { invite: 0 },
};

/** Client-server API, "Room presets". */
export const PRESETS: Readonly<Record<Preset, PresetRules>> = {
  private_chat: PRIVATE,
  trusted_private_chat: { ...PRIVATE, trustsInvitees: true },
  public_chat: {
    joinRule: 'public',
    historyVisibility: 'shared',
    guestsMayJoin: false,
    trustsInvitees: false,
    powerLevels: { events: { 'm.call.invite': 50 } },
  },
};
