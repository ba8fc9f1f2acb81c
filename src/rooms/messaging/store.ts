import { sql } from '#src/platform/database/sql.ts';
import { NOT_ACCEPTED } from '#src/rooms/graph/index.ts';
import type { Reader, RowOf, Table, Transaction } from '#src/platform/database/types.ts';

const columns = {
  event_num: 'bigint',
  room_num: 'bigint',
  target_event_id: 'text',
  relation_type: 'text',
  annotation_key: 'text?',
} as const;
const relations: Table<typeof columns> = { name: 'event_relations', columns, key: ['event_num'] };

export const insertRelation = (tx: Transaction, row: RowOf<typeof columns>): void => tx.put(relations, row);

/** Puts a thread where an event that is in it stands, unless something later is in it. */
export const moveThread = async (
  tx: Transaction,
  { roomNum, rootId, depth, position }: { roomNum: number; rootId: string; depth: number; position: number },
): Promise<void> => {
  await tx.run(sql`
    INSERT INTO threads (room_num, root_event_id, latest_depth, latest_position) VALUES (${roomNum}, ${rootId}, ${depth}, ${position})
    ON CONFLICT (room_num, root_event_id) DO UPDATE SET latest_depth = excluded.latest_depth, latest_position = excluded.latest_position
    WHERE threads.latest_depth < excluded.latest_depth
      OR (threads.latest_depth = excluded.latest_depth AND threads.latest_position < excluded.latest_position)`);
};

/** Whether a user's event of this type annotates the target with the key already; those that are redacted or were not accepted do not count. */
export const isAnnotated = async (
  reader: Reader,
  { targetId, key, typeNum, senderNum }: { targetId: string; key: string; typeNum: number; senderNum: number },
): Promise<boolean> => {
  const row = await reader.one(sql`
    SELECT r.event_num FROM event_relations r JOIN events e ON e.event_num = r.event_num
    WHERE r.target_event_id = ${targetId} AND r.relation_type = 'm.annotation' AND r.annotation_key = ${key}
      AND e.type_num = ${typeNum} AND e.sender_num = ${senderNum} AND e.redacted_by IS NULL AND (e.facts & ${NOT_ACCEPTED}) = 0
    LIMIT 1`);
  return row !== undefined;
};
