import { globMatches } from '#src/protocol/glob.ts';
import type { Config } from '#src/platform/config/index.ts';

/** As in `alias_creation_rules` and `room_list_publication_rules`. */
export type DirectoryRule = Config['alias_creation_rules'][number];

/** Whether the first rule that fits says `allow`. A rule about aliases fits when it fits one of them; `*` fits none as well. */
export const isAllowed = (rules: readonly DirectoryRule[], userId: string, roomId: string, aliases: readonly string[]): boolean => {
  const rule = rules.find(
    (each) =>
      globMatches(each.user_id, userId) &&
      globMatches(each.room_id, roomId) &&
      (each.alias === '*' || aliases.some((alias) => globMatches(each.alias, alias))),
  );
  return rule?.action === 'allow';
};
