import { sql } from '#src/platform/database/sql.ts';
import type { Reader, RowOf, Table, Transaction } from '#src/platform/database/types.ts';

const columns = { user_num: 'bigint', device_id: 'text', device_data: 'text' } as const;
const table: Table<typeof columns> = { name: 'dehydrated_devices', columns, key: ['user_num'] };

export type DehydratedRow = RowOf<typeof columns>;

/** A user's dehydrated device. */
export const readDehydrated = (reader: Reader, userNum: number): Promise<DehydratedRow | undefined> =>
  reader.one<DehydratedRow>(sql`SELECT user_num, device_id, device_data FROM dehydrated_devices WHERE user_num = ${userNum}`);

/** Makes a device the dehydrated one of its user. */
export const putDehydrated = (tx: Transaction, row: DehydratedRow): void => tx.put(table, row);

/** Deletes what is kept of devices where they are dehydrated. */
export const deleteDehydrated = async (tx: Transaction, userNum: number, deviceIds: readonly string[]): Promise<void> => {
  await tx.run(sql`DELETE FROM dehydrated_devices WHERE user_num = ${userNum} AND device_id ${sql.in(deviceIds)}`);
};
