import { clampedInteger } from '#src/protocol/json.ts';
import { sql } from '#src/platform/database/sql.ts';
import type { Reader, RowOf, Table, Transaction } from '#src/platform/database/types.ts';
import type { RoomEvent, RoomInfo } from '#src/rooms/graph/events.ts';
import type { NodeId, StoredNode } from '#src/rooms/graph/state-tree/nodes.ts';

const roomColumns = { room_num: 'bigint', room_id: 'text', room_version: 'text', created_ts: 'bigint' } as const;
const rooms: Table<typeof roomColumns> = { name: 'rooms', columns: roomColumns, key: ['room_num'] };

const headColumns = { room_num: 'bigint', forward_extremities: 'text', current_root: 'text' } as const;
const heads: Table<typeof headColumns> = { name: 'room_heads', columns: headColumns, key: ['room_num'] };

const eventColumns = {
  event_num: 'bigint',
  event_id: 'text',
  room_num: 'bigint',
  type_num: 'bigint',
  sender_num: 'bigint',
  state_key_num: 'bigint?',
  depth: 'bigint',
  stream_position: 'bigint?',
  writer_num: 'bigint',
  state_root: 'text?',
  facts: 'bigint',
  fault: 'text?',
  redacted_by: 'bigint?',
  origin_server_ts: 'bigint',
  json: 'text',
} as const;
const events: Table<typeof eventColumns> = { name: 'events', columns: eventColumns, key: ['event_num'] };

/** An event as its row. */
export type EventRow = RowOf<typeof eventColumns>;

const authColumns = { event_num: 'bigint', auth_num: 'bigint' } as const;
const eventAuth: Table<typeof authColumns> = { name: 'event_auth', columns: authColumns, key: ['event_num', 'auth_num'] };

const nodeColumns = { room_num: 'bigint', node_id: 'text', data: 'bytes' } as const;
const stateNodes: Table<typeof nodeColumns> = { name: 'state_nodes', columns: nodeColumns, key: ['room_num', 'node_id'] };

const historyColumns = { room_num: 'bigint', stream_position: 'bigint', current_root: 'text' } as const;
const stateHistory: Table<typeof historyColumns> = {
  name: 'room_state_history',
  columns: historyColumns,
  key: ['room_num', 'stream_position'],
};

const membershipColumns = {
  room_num: 'bigint',
  user_num: 'bigint',
  membership: 'text',
  event_num: 'bigint',
  is_local: 'bigint',
  forgotten: 'bigint',
} as const;
const memberships: Table<typeof membershipColumns> = { name: 'memberships', columns: membershipColumns, key: ['room_num', 'user_num'] };

const changeColumns = {
  user_num: 'bigint',
  stream_position: 'bigint',
  room_num: 'bigint',
  event_num: 'bigint',
  membership: 'text',
} as const;
const membershipChanges: Table<typeof changeColumns> = {
  name: 'membership_changes',
  columns: changeColumns,
  key: ['user_num', 'stream_position'],
};

const transactionColumns = {
  user_num: 'bigint',
  device_id: 'text',
  room_num: 'bigint',
  txn_id: 'text',
  event_num: 'bigint',
  created_ts: 'bigint',
} as const;
const eventTransactions: Table<typeof transactionColumns> = {
  name: 'event_transactions',
  columns: transactionColumns,
  key: ['user_num', 'device_id', 'room_num', 'txn_id'],
};

const pendingColumns = { room_num: 'bigint', target_event_id: 'text', redaction_num: 'bigint' } as const;
const pendingRedactions: Table<typeof pendingColumns> = {
  name: 'pending_redactions',
  columns: pendingColumns,
  key: ['room_num', 'target_event_id', 'redaction_num'],
};

const missingColumns = { room_num: 'bigint', missing_event_id: 'text', event_num: 'bigint', is_auth: 'bigint' } as const;
const missingEvents: Table<typeof missingColumns> = {
  name: 'missing_events',
  columns: missingColumns,
  key: ['room_num', 'missing_event_id', 'event_num'],
};

export const insertRoom = (tx: Transaction, room: RoomInfo, createdTs: number): void => {
  tx.insert(rooms, { room_num: room.num, room_id: room.roomId, room_version: room.version, created_ts: createdTs });
};

export const setRoomVersion = async (tx: Transaction, roomNum: number, version: string): Promise<void> => {
  await tx.run(sql`UPDATE rooms SET room_version = ${version} WHERE room_num = ${roomNum}`);
};

export const roomById = async (reader: Reader, roomId: string): Promise<RoomInfo | undefined> => {
  const row = await reader.one<{ room_num: number; room_version: string }>(
    sql`SELECT room_num, room_version FROM rooms WHERE room_id = ${roomId}`,
  );
  return row && { num: row.room_num, roomId, version: row.room_version };
};

export const roomsByNum = async (reader: Reader, nums: readonly number[]): Promise<RoomInfo[]> => {
  const rows = await reader.all<{ room_num: number; room_id: string; room_version: string }>(
    sql`SELECT room_num, room_id, room_version FROM rooms WHERE room_num ${sql.in(nums)}`,
  );
  return rows.map((row) => ({ num: row.room_num, roomId: row.room_id, version: row.room_version }));
};

/** A room's forward extremities, by event number, and the root of its current state. */
export interface StoredHead {
  readonly extremities: readonly number[];
  readonly root: NodeId;
}

export const headOf = async (reader: Reader, roomNum: number): Promise<StoredHead | undefined> => {
  const row = await reader.one<{ forward_extremities: string; current_root: string }>(
    sql`SELECT forward_extremities, current_root FROM room_heads WHERE room_num = ${roomNum}`,
  );
  return row && { extremities: JSON.parse(row.forward_extremities) as number[], root: row.current_root };
};

export const putHead = (tx: Transaction, roomNum: number, head: StoredHead): void => {
  tx.put(heads, { room_num: roomNum, forward_extremities: JSON.stringify(head.extremities), current_root: head.root });
};

const rowOf = (event: RoomEvent): EventRow => ({
  event_num: event.num,
  event_id: event.eventId,
  room_num: event.roomNum,
  type_num: event.typeNum,
  sender_num: event.senderNum,
  state_key_num: event.stateKeyNum ?? null,
  depth: event.depth,
  stream_position: event.position ?? null,
  writer_num: event.writerNum,
  state_root: event.stateRoot ?? null,
  facts: event.facts,
  fault: event.fault ?? null,
  redacted_by: event.redactedBy ?? null,
  origin_server_ts: clampedInteger(event.pdu.origin_server_ts),
  json: event.json,
});

export const insertEvent = (tx: Transaction, event: RoomEvent): void => tx.insert(events, rowOf(event));

/** Writes an event over the row that it has already, as it is judged again. */
export const replaceEvent = (tx: Transaction, event: RoomEvent): void => tx.put(events, rowOf(event));

/** Writes what became of an event that others' being judged again has changed. */
export const reviseEvent = async (tx: Transaction, event: RoomEvent): Promise<void> => {
  await tx.run(
    sql`UPDATE events SET facts = ${event.facts}, fault = ${event.fault ?? null}, state_root = ${event.stateRoot ?? null}
        WHERE event_num = ${event.num}`,
  );
};

export const insertAuthEdges = (tx: Transaction, eventNum: number, authNums: readonly number[]): void => {
  for (const authNum of new Set(authNums)) tx.put(eventAuth, { event_num: eventNum, auth_num: authNum });
};

/** Nodes are named by their content, so one that another root made before is put again unchanged. */
export const putNodes = (tx: Transaction, roomNum: number, nodes: readonly StoredNode[]): void => {
  for (const node of nodes) tx.put(stateNodes, { room_num: roomNum, node_id: node.id, data: node.data });
};

/** Some nodes of one room. */
export const nodesOfRoom = async (
  reader: Reader,
  roomNum: number,
  ids: readonly NodeId[],
): Promise<{ node_id: NodeId; data: Uint8Array }[]> =>
  reader.all(sql`
    SELECT n.node_id, n.data FROM ${sql.texts(ids)} AS wanted CROSS JOIN state_nodes n
    WHERE n.room_num = ${roomNum} AND n.node_id = wanted.value`);

/** The root nodes of the states after some events. */
export const rootNodesOf = async (
  reader: Reader,
  eventNums: readonly number[],
): Promise<{ room_num: number; node_id: NodeId; data: Uint8Array }[]> =>
  reader.all(sql`
    SELECT n.room_num, n.node_id, n.data FROM events e JOIN state_nodes n ON n.room_num = e.room_num AND n.node_id = e.state_root
    WHERE e.event_num ${sql.in(eventNums)}`);

export const insertStateHistory = (tx: Transaction, roomNum: number, position: number, root: NodeId): void => {
  tx.put(stateHistory, { room_num: roomNum, stream_position: position, current_root: root });
};

/** The roots of the rooms' current states as they were at a live position; none of a room before its first event. */
export const rootsAt = async (reader: Reader, roomNums: readonly number[], position: number): Promise<ReadonlyMap<number, NodeId>> => {
  const rows = await reader.all<{ room_num: number; current_root: string }>(sql`
    SELECT h.room_num, h.current_root FROM (
      SELECT r.room_num, (
        SELECT p.stream_position FROM room_state_history p
        WHERE p.room_num = r.room_num AND p.stream_position <= ${position} ORDER BY p.stream_position DESC LIMIT 1
      ) AS stream_position FROM rooms r WHERE r.room_num ${sql.in(roomNums)} LIMIT ${roomNums.length}
    ) w JOIN room_state_history h ON h.room_num = w.room_num AND h.stream_position = w.stream_position`);
  return new Map(rows.map((row) => [row.room_num, row.current_root]));
};

/** Changes of current states at positions in (after, upTo] at which there is no event, oldest first. */
export const silentChangesBetween = (
  reader: Reader,
  after: number,
  upTo: number,
): Promise<{ readonly room_num: number; readonly stream_position: number }[]> =>
  reader.all(sql`
    SELECT h.room_num, h.stream_position FROM room_state_history h
    WHERE h.stream_position > ${after} AND h.stream_position <= ${upTo}
      AND NOT EXISTS (SELECT 1 FROM events e WHERE e.stream_position = h.stream_position)
    ORDER BY h.stream_position`);

/** A user's membership of a room, as the current state has it. */
export interface MembershipRow {
  readonly roomNum: number;
  readonly userNum: number;
  readonly membership: string;
  readonly eventNum: number;
  readonly isLocal: boolean;
  readonly forgotten: boolean;
}

export const putMembership = (tx: Transaction, row: MembershipRow): void => {
  tx.put(memberships, {
    room_num: row.roomNum,
    user_num: row.userNum,
    membership: row.membership,
    event_num: row.eventNum,
    is_local: row.isLocal ? 1 : 0,
    forgotten: row.forgotten ? 1 : 0,
  });
};

export const insertMembershipChange = (tx: Transaction, row: MembershipRow, position: number): void => {
  tx.put(membershipChanges, {
    user_num: row.userNum,
    stream_position: position,
    room_num: row.roomNum,
    event_num: row.eventNum,
    membership: row.membership,
  });
};

/** Which device sent which transaction. */
export interface TransactionKey {
  readonly userNum: number;
  readonly deviceId: string;
  readonly txnId: string;
}

export const insertTransaction = (tx: Transaction, key: TransactionKey, roomNum: number, eventNum: number, nowTs: number): void => {
  tx.put(eventTransactions, {
    user_num: key.userNum,
    device_id: key.deviceId,
    room_num: roomNum,
    txn_id: key.txnId,
    event_num: eventNum,
    created_ts: nowTs,
  });
};

export const transactionsOf = async (
  reader: Reader,
  userNum: number,
  deviceId: string,
  limit: number,
): Promise<{ room_num: number; txn_id: string; event_num: number }[]> =>
  reader.all(
    sql`SELECT room_num, txn_id, event_num FROM event_transactions WHERE user_num = ${userNum} AND device_id = ${deviceId} LIMIT ${limit}`,
  );

export const transactionOf = async (reader: Reader, key: TransactionKey, roomNum: number): Promise<number | undefined> => {
  const row = await reader.one<{ event_num: number }>(
    sql`SELECT event_num FROM event_transactions
        WHERE user_num = ${key.userNum} AND device_id = ${key.deviceId} AND room_num = ${roomNum} AND txn_id = ${key.txnId}`,
  );
  return row?.event_num;
};

export const deleteTransactionsBefore = async (tx: Transaction, beforeTs: number): Promise<number> =>
  tx.run(sql`DELETE FROM event_transactions WHERE created_ts < ${beforeTs}`);

/** Marks an event as redacted, unless another redaction came first. */
export const markRedacted = async (tx: Transaction, eventNum: number, redactionNum: number): Promise<void> => {
  await tx.run(sql`UPDATE events SET redacted_by = ${redactionNum} WHERE event_num = ${eventNum} AND redacted_by IS NULL`);
};

export const insertPendingRedaction = (tx: Transaction, roomNum: number, targetEventId: string, redactionNum: number): void => {
  tx.put(pendingRedactions, { room_num: roomNum, target_event_id: targetEventId, redaction_num: redactionNum });
};

export const pendingRedactionsOf = async (reader: Reader, roomNum: number, eventId: string): Promise<number[]> => {
  const rows = await reader.all<{ redaction_num: number }>(
    sql`SELECT redaction_num FROM pending_redactions WHERE room_num = ${roomNum} AND target_event_id = ${eventId} ORDER BY redaction_num`,
  );
  return rows.map((row) => row.redaction_num);
};

export const deletePendingRedactions = async (tx: Transaction, roomNum: number, eventId: string): Promise<void> => {
  await tx.run(sql`DELETE FROM pending_redactions WHERE room_num = ${roomNum} AND target_event_id = ${eventId}`);
};

export const setForgotten = async (tx: Transaction, roomNum: number, userNum: number): Promise<void> => {
  await tx.run(sql`UPDATE memberships SET forgotten = 1 WHERE room_num = ${roomNum} AND user_num = ${userNum}`);
};

/** Writes down which events an event cites that are not here or, of those that it follows, have no place in the graph. */
export const insertMissing = (
  tx: Transaction,
  event: RoomEvent,
  missing: { readonly prev: readonly string[]; readonly auth: readonly string[] },
): void => {
  const put = (eventId: string, isAuth: number): void =>
    tx.put(missingEvents, { room_num: event.roomNum, missing_event_id: eventId, event_num: event.num, is_auth: isAuth });
  for (const eventId of missing.prev) put(eventId, 0);
  for (const eventId of missing.auth) put(eventId, 1);
};

/** The events that cite one which has not been here, and whether as an auth event. */
export const waitingFor = async (reader: Reader, roomNum: number, eventId: string): Promise<{ event_num: number; is_auth: number }[]> =>
  reader.all(
    sql`SELECT event_num, is_auth FROM missing_events WHERE room_num = ${roomNum} AND missing_event_id = ${eventId} ORDER BY event_num`,
  );

/** An event has come. Without a place in the graph it authorises others, and is still missing for those that follow it. */
export const deleteMissing = async (tx: Transaction, roomNum: number, eventId: string, hasPlace: boolean): Promise<void> => {
  await tx.run(
    sql`DELETE FROM missing_events WHERE room_num = ${roomNum} AND missing_event_id = ${eventId} AND is_auth >= ${hasPlace ? 0 : 1}`,
  );
};
