import { unknown } from '#src/protocol/errors.ts';
import { isEventId } from '#src/protocol/identifiers.ts';
import { type Relation, relationOf } from '#src/protocol/relations.ts';
import type { Events, RoomDraft } from '#src/rooms/graph/index.ts';

const MAX_KEY = 500;

/** Refuses relations to events of other rooms or to none, reactions without a key, and threads that start in a relation (`unknown`). */
export const checkRelation = async (draft: RoomDraft, events: Events, relation: Relation): Promise<void> => {
  const isId = isEventId(relation.target);
  const target = isId ? await draft.event(relation.target) : undefined;
  if (target === undefined) {
    const isElsewhere = isId && (await events.byId(relation.target)) !== undefined;
    throw unknown(isElsewhere ? 'Relations must be in the same room' : "Can't send relation to unknown event");
  }
  if (relation.type === 'm.annotation') {
    if (relation.key === undefined) throw unknown('Missing aggregation key');
    if (relation.key.length > MAX_KEY) throw unknown('Aggregation key is too long');
  }
  if (relation.type === 'm.thread' && target.redactedBy === undefined && relationOf(target.pdu.content) !== undefined) {
    throw unknown('Cannot start threads from an event with a relation');
  }
};
