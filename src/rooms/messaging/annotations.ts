import type { Database } from '#src/platform/database/types.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import { duplicateAnnotation } from '#src/protocol/errors.ts';
import type { CommitParticipant } from '#src/rooms/graph/index.ts';
import { type Relation, relationOf } from '#src/protocol/relations.ts';
import { insertRelation, isAnnotated, moveThread } from '#src/rooms/messaging/store.ts';

/** Writes down what events relate to, whoever made them. */
export const relationWriter: CommitParticipant = {
  prepare: async (room, drafted) => {
    const related = drafted.flatMap(({ event }) => {
      const relation = relationOf(event.pdu.content);
      return relation === undefined ? [] : [{ event, relation }];
    });
    return async (tx, events) => {
      const positions = new Map(events.map((event) => [event.num, event.position]));
      for (const { event, relation } of related) {
        const position = positions.get(event.num);
        if (relation.type === 'm.thread' && position !== undefined)
          await moveThread(tx, { roomNum: room.num, rootId: relation.target, depth: event.depth, position });
        insertRelation(tx, {
          event_num: event.num,
          room_num: room.num,
          target_event_id: relation.target,
          relation_type: relation.type,
          annotation_key: relation.type === 'm.annotation' ? (relation.key ?? null) : null,
        });
      }
    };
  },
};

export interface Annotations {
  /**
   * Sees that nobody says the same of the same event twice; throws `duplicateAnnotation`. Nobody else may say it until the answer is called, which
   * is to be done once it is said or will not be.
   */
  claim(senderNum: number, type: string, relation: Relation): Promise<() => void>;
}

const NOTHING = (): void => undefined;

export const createAnnotations = ({ database, strings }: { database: Pick<Database, 'read'>; strings: Strings }): Annotations => {
  const underway = new Set<string>();
  return {
    claim: async (senderNum, type, { type: relationType, target: targetId, key }) => {
      if (relationType !== 'm.annotation' || key === undefined) return NOTHING;
      const name = JSON.stringify([senderNum, type, targetId, key]);
      const typeNum = strings.peekNum(type) ?? (await strings.numOf(type));
      const isSaid = async (): Promise<boolean> =>
        typeNum !== undefined && database.read('annotation', async (reader) => isAnnotated(reader, { targetId, key, typeNum, senderNum }));
      if (underway.has(name) || (await isSaid())) throw duplicateAnnotation("Can't send same reaction twice");
      underway.add(name);
      return () => void underway.delete(name);
    },
  };
};
