import type { Requester } from '#src/accounts/index.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import { aliasExists, forbidden, invalidParam, MatrixError, notFound, unknown } from '#src/protocol/errors.ts';
import { domainOf, byteLength, isRoomAlias, isRoomId, MAX_ID_BYTES, parseRoomAlias } from '#src/protocol/identifiers.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { powerLevels } from '#src/protocol/power-levels.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { isAllowed } from '#src/rooms/directory/rules.ts';
import {
  deleteAlias,
  deletePublished,
  insertAlias,
  insertPublished,
  isListed,
  isPublished,
  moveListing,
  publishedAmong,
  readAlias,
  readAliasesOf,
} from '#src/rooms/directory/store.ts';
import type { RoomDraft, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';

/** Whether strangers find a room on the server's list. */
export type Visibility = 'public' | 'private';

export interface Directory {
  /** The room that an alias of this server stands for. */
  resolve(alias: string): Promise<RoomInfo | undefined>;
  /** Throws for what is no alias of this server (`M_INVALID_PARAM`, `M_UNKNOWN`). */
  checkAlias(alias: string): void;
  /** Throws `forbidden` where `alias_creation_rules` do not let the user give the room this alias. */
  checkMayAlias(userId: string, roomId: string, alias: string): void;
  /** Whether `room_list_publication_rules` let the user put the room on the list. */
  mayPublish(userId: string, roomId: string, aliases: readonly string[]): boolean;
  /** Gives a room an alias, unchecked; answers false when it is taken. */
  addAlias(tx: Transaction, alias: string, roomNum: number, creatorNum: number): Promise<boolean>;
  publish(tx: Transaction, roomNum: number): Promise<void>;
  /** Gives all aliases of a room that has been replaced, and its place on the list, to its successor. */
  move(tx: Transaction, fromNum: number, toNum: number): Promise<void>;
  /** The same in a transaction of its own, where there is something to move. */
  moveIfListed(fromNum: number, toNum: number): Promise<void>;
  /** A room's aliases on this server. */
  aliasesOf(roomNum: number): Promise<readonly string[]>;
  /** Gives a room an alias in a user's name. */
  createAlias(requester: Requester, alias: string, roomId: string): Promise<void>;
  /** Takes an alias away, also out of the room's `m.room.canonical_alias` where the user may change that. */
  removeAlias(requester: Requester, alias: string): Promise<void>;
  /** A room's aliases on this server, for its members and, where its history is world-readable, for everybody. */
  aliasesFor(requester: Requester, roomId: string): Promise<string[]>;
  visibility(roomId: string): Promise<Visibility>;
  /** Those of some rooms that are on the list. */
  published(roomNums: readonly number[]): Promise<ReadonlySet<number>>;
  setVisibility(requester: Requester, roomId: string, visibility: Visibility): Promise<void>;
}

export interface DirectoryDependencies {
  graph: RoomGraph;
  database: Database;
  config: Pick<
    Config,
    'server_name' | 'alias_creation_rules' | 'room_list_publication_rules' | 'require_membership_for_aliases' | 'enable_room_list_search'
  >;
}

/** The content of a canonical alias event without one of its aliases; undefined when it does not name it. */
export const withoutAlias = (content: JsonObject, alias: string): JsonObject | undefined => {
  const { alias: main, alt_aliases: others, ...rest } = content;
  const isListed = Array.isArray(others) && others.includes(alias);
  if (main !== alias && !isListed) return undefined;
  const left = isListed ? others.filter((each) => each !== alias) : others;
  const hasLeft = left !== undefined && !(isListed && Array.isArray(left) && left.length === 0);
  return { ...rest, ...(main === undefined || main === alias ? {} : { alias: main }), ...(hasLeft ? { alt_aliases: left } : {}) };
};

const checkAliasOf = (serverName: string, alias: string): void => {
  if (byteLength(alias) > MAX_ID_BYTES) throw invalidParam(`Can't create aliases longer than ${String(MAX_ID_BYTES)} characters`);
  const parsed = parseRoomAlias(alias);
  if (parsed === undefined) throw invalidParam('Room alias invalid');
  if (/\s/u.test(parsed.localpart)) throw unknown('Invalid characters in room alias');
  if (parsed.serverName !== serverName) throw unknown('Room alias must be local');
};

const updateCanonicalAlias = async (draft: RoomDraft, userId: string, alias: string): Promise<void> => {
  const current = await draft.state('m.room.canonical_alias', '');
  const content = current && withoutAlias(current.pdu.content, alias);
  if (content === undefined) return;
  try {
    await draft.append({ sender: userId, type: 'm.room.canonical_alias', stateKey: '', content });
  } catch (error) {
    // Who made an alias may delete it, without the right to say so in the room.
    if (!(error instanceof MatrixError) || error.errcode !== 'M_FORBIDDEN') throw error;
  }
};

/** Aliases of this server's rooms and the list of those that are public. */
export const createDirectory = ({ graph, database, config }: DirectoryDependencies): Directory => {
  const read = (alias: string) => database.read('room alias', (reader) => readAlias(reader, alias));

  const resolve = async (alias: string): Promise<RoomInfo | undefined> => {
    const row = isRoomAlias(alias) ? await read(alias) : undefined;
    return row && (await graph.rooms([row.room_num])).get(row.room_num);
  };

  const isJoined = async (roomNum: number, userNum: number): Promise<boolean> =>
    (await graph.memberships.in(roomNum, userNum))?.membership === 'join';

  /** Server administrators, and those who may change the room's canonical alias. */
  const mayChangeListing = async (requester: Requester, room: RoomInfo): Promise<boolean> => {
    if (requester.isAdmin) return true;
    if (!(await isJoined(room.num, requester.userNum))) throw forbidden(`User ${requester.userId} not in room ${room.roomId}`);
    const [create, levels] = await Promise.all([
      graph.currentState(room, 'm.room.create', ''),
      graph.currentState(room, 'm.room.power_levels', ''),
    ]);
    const power = powerLevels(create?.pdu, levels?.pdu, roomVersion(room.version));
    return power.userLevel(requester.userId) >= power.requiredLevel('m.room.canonical_alias', true);
  };

  const checkAlias = (alias: string): void => checkAliasOf(config.server_name, alias);

  const checkMayAlias = (userId: string, roomId: string, alias: string): void => {
    if (!isAllowed(config.alias_creation_rules, userId, roomId, [alias])) throw forbidden('Not allowed to create alias');
  };

  const mayPublish = (userId: string, roomId: string, aliases: readonly string[]): boolean =>
    isAllowed(config.room_list_publication_rules, userId, roomId, aliases);

  const checkMayPublish = async (requester: Requester, room: RoomInfo): Promise<void> => {
    if (!config.enable_room_list_search) throw forbidden('This user is not permitted to publish rooms to the room list');
    const aliases = await database.read('aliases of room', (reader) => readAliasesOf(reader, room.num));
    const canonical = (await graph.currentState(room, 'm.room.canonical_alias', ''))?.pdu.content.alias;
    const all = typeof canonical === 'string' ? [...aliases, canonical] : aliases;
    if (!mayPublish(requester.userId, room.roomId, all)) throw forbidden('Not allowed to publish room');
  };

  return {
    resolve,
    checkAlias,
    checkMayAlias,
    mayPublish,
    addAlias: insertAlias,
    publish: insertPublished,
    move: moveListing,
    moveIfListed: async (fromNum, toNum) => {
      if (!(await database.read('is room listed', (reader) => isListed(reader, fromNum)))) return;
      await database.write('move room listing', (tx) => moveListing(tx, fromNum, toNum));
    },
    aliasesOf: (roomNum) => database.read('aliases of room', (reader) => readAliasesOf(reader, roomNum)),
    createAlias: async (requester, alias, roomId) => {
      checkAlias(alias);
      const room = isRoomId(roomId) ? await graph.room(roomId) : undefined;
      if (room === undefined) throw unknown('Room does not exist');
      const isMember = !config.require_membership_for_aliases || requester.isAdmin || (await isJoined(room.num, requester.userNum));
      if (!isMember) throw forbidden('You must be in the room to create an alias for it');
      checkMayAlias(requester.userId, roomId, alias);
      const isNew = await database.write('create room alias', (tx) => insertAlias(tx, alias, room.num, requester.userNum));
      if (!isNew) throw aliasExists(`Room alias ${alias} already exists`);
    },
    removeAlias: async (requester, alias) => {
      if (isRoomAlias(alias) && domainOf(alias) !== config.server_name) throw notFound('Unknown room alias');
      checkAlias(alias);
      const row = await read(alias);
      const room = row && (await graph.rooms([row.room_num])).get(row.room_num);
      if (row === undefined || room === undefined) throw notFound('Unknown room alias');
      const isAllowedTo = row.creator_num === requester.userNum || (await mayChangeListing(requester, room));
      if (!isAllowedTo) throw forbidden("You don't have permission to delete the alias.");
      await graph.write(room, async (draft) => {
        draft.alongside((tx) => deleteAlias(tx, alias));
        await updateCanonicalAlias(draft, requester.userId, alias);
      });
    },
    aliasesFor: async (requester, roomId) => {
      const room = await graph.room(roomId);
      const isMember = room !== undefined && (requester.isAdmin || (await isJoined(room.num, requester.userNum)));
      const visibility = room && !isMember ? await graph.currentState(room, 'm.room.history_visibility', '') : undefined;
      if (room === undefined || !(isMember || visibility?.pdu.content.history_visibility === 'world_readable')) {
        throw forbidden(`User ${requester.userId} not in room ${roomId}, and room previews are disabled`);
      }
      return database.read('aliases of room', (reader) => readAliasesOf(reader, room.num));
    },
    visibility: async (roomId) => {
      const room = await graph.room(roomId);
      if (room === undefined) throw notFound('Unknown room');
      return (await database.read('published room', (reader) => isPublished(reader, room.num))) ? 'public' : 'private';
    },
    published: (roomNums) => database.read('published rooms', (reader) => publishedAmong(reader, roomNums)),
    setVisibility: async (requester, roomId, visibility) => {
      const room = await graph.room(roomId);
      if (room === undefined) throw notFound('Unknown room');
      if (!(await mayChangeListing(requester, room))) {
        throw forbidden('This server requires you to be a moderator in the room to edit its room list entry');
      }
      if (visibility === 'public') await checkMayPublish(requester, room);
      await database.write('set room visibility', (tx) =>
        visibility === 'public' ? insertPublished(tx, room.num) : deletePublished(tx, room.num),
      );
    },
  };
};
