import type { JsonObject } from '#src/protocol/json.ts';
import type { Names } from '#src/user-directory/store.ts';

/** The state events that make a room's members known to everybody. */
export const PUBLICITY_TYPES = ['m.room.join_rules', 'm.room.history_visibility'] as const;

/** Whether everybody can come into a room or read it, so that its members are no secret; by the contents of those events, in whatever order. */
export const isPublicRoom = (contents: readonly (JsonObject | undefined)[]): boolean =>
  contents.some((content) => content?.['join_rule'] === 'public' || content?.['history_visibility'] === 'world_readable');

/** What a member event or a profile says of its user; what is no text is nothing. */
export const namesIn = ({ displayname, avatar_url: avatarUrl }: Readonly<Record<string, unknown>>): Names => ({
  displayName: typeof displayname === 'string' ? displayname : undefined,
  avatarUrl: typeof avatarUrl === 'string' ? avatarUrl : undefined,
});
