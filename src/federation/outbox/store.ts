import { sql } from '#src/platform/database/sql.ts';
import type { Reader, RowOf, Table, Transaction } from '#src/platform/database/types.ts';

const roomColumns = { destination: 'text', room_num: 'bigint', from_position: 'bigint' } as const;
const rooms: Table<typeof roomColumns> = { name: 'outbox_rooms', columns: roomColumns, key: ['destination', 'room_num'] };

const destinationColumns = { destination: 'text', last_sent_position: 'bigint?', last_error: 'text?', last_error_ts: 'bigint?' } as const;
const destinations: Table<typeof destinationColumns> = { name: 'destinations', columns: destinationColumns, key: ['destination'] };

export type OutboxRoomRow = RowOf<typeof roomColumns>;
export type DestinationRow = RowOf<typeof destinationColumns>;

/** Every room in which some server lacks events, from the first that it lacks. */
export const readRooms = (reader: Reader): Promise<OutboxRoomRow[]> =>
  reader.all<OutboxRoomRow>(sql`SELECT * FROM outbox_rooms ORDER BY destination, from_position`);

export const putRoom = (tx: Transaction, row: OutboxRoomRow): void => tx.put(rooms, row);

/** Forgets that a server lacks events of these rooms. */
export const deleteRooms = (tx: Transaction, destination: string, roomNums: readonly number[]): Promise<number> =>
  tx.run(sql`DELETE FROM outbox_rooms WHERE destination = ${destination} AND room_num ${sql.in(roomNums)}`);

export const readDestinations = (reader: Reader): Promise<DestinationRow[]> => reader.all<DestinationRow>(sql`SELECT * FROM destinations`);

export const putDestination = (tx: Transaction, row: DestinationRow): void => tx.put(destinations, row);
