import { sql } from '#src/platform/database/sql.ts';
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

/** Whether a user's event of this type annotates the target with the key already; those that are redacted or were not accepted do not count. */
export const isAnnotated = async (
  reader: Reader,
  { targetId, key, typeNum, senderNum }: { targetId: string; key: string; typeNum: number; senderNum: number },
): Promise<boolean> => {
  const row = await reader.one(sql`
    SELECT r.event_num FROM event_relations r JOIN events e ON e.event_num = r.event_num
    WHERE r.target_event_id = ${targetId} AND r.relation_type = 'm.annotation' AND r.annotation_key = ${key}
      AND e.type_num = ${typeNum} AND e.sender_num = ${senderNum} AND e.redacted_by IS NULL AND e.facts = 0
    LIMIT 1`);
  return row !== undefined;
};
