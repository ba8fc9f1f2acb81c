import {
  DEVICE_LISTS_STREAM,
  type Devices,
  type PublishedKeys,
  readChangedLists,
  readLastChange,
  readListChanges,
} from '#src/devices/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { Followers } from '#src/platform/streams/followers.ts';
import { canonicalJson } from '#src/protocol/canonical-json.ts';
import { domainOf } from '#src/protocol/identifiers.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { EVENTS_STREAM, type RoomGraph } from '#src/rooms/graph/index.ts';
import type { Hosts } from '#src/federation/rooms/hosts.ts';
import {
  deleteTold,
  putTold,
  type ToldRow,
  toldOfUser,
  waitingDestinations,
  waitingFor,
} from '#src/federation/outbox/device-list-store.ts';
import type { EduSource } from '#src/federation/outbox/edus.ts';
import type { VolatileTools } from '#src/federation/outbox/volatile.ts';

export interface DeviceListTools extends VolatileTools {
  readonly database: Database;
  readonly strings: Pick<Strings, 'textOf'>;
  readonly graph: Pick<RoomGraph, 'rooms' | 'currentRoot' | 'timeline' | 'memberships'>;
  readonly hosts: Pick<Hosts, 'at'>;
  readonly devices: Pick<Devices, 'list'>;
  readonly published: PublishedKeys;
  /** Whether other servers are told the names of devices. */
  readonly tellsNames: boolean;
}

/** A server that has missed more than this of a user's list is told of the last change, and asks for the rest. */
const MAX_CHANGES = 20;
const BATCH = 100;

/** What has changed of a user's list, for one server. */
interface News {
  readonly row: ToldRow;
  readonly texts: readonly string[];
  readonly upTo: number;
  readonly lastId: number;
}

const eduText = (type: string, content: JsonObject): string => canonicalJson({ content, edu_type: type }, 'any');

/**
 * Tells other servers of changes of devices and cross-signing keys (server-server API, Device Management), those that share a room with the user. A row for each such server says how far it
 * has been told, so that nothing is lost; each change names the one before it, by which the other sees whether it has missed some.
 */
export const openDeviceListEdus = async (tools: DeviceListTools): Promise<EduSource> => {
  const { database, strings, graph, hosts, devices, published, serverName, peers } = tools;
  const waiting = new Set(await database.read('servers to be told of devices', waitingDestinations));
  const listeners: ((destinations: Iterable<string>) => void)[] = [];

  const serversOf = async (userNum: number): Promise<Set<string>> => {
    const joined = [...(await graph.memberships.ofUser(userNum)).values()].filter((row) => row.membership === 'join');
    const found = new Set<string>();
    for (const room of (await graph.rooms(joined.map((row) => row.roomNum))).values())
      for (const name of await hosts.at(room, await graph.currentRoot(room)))
        if (name !== serverName && peers.isAllowed(name)) found.add(name);
    return found;
  };

  /** Writes down that servers have to be told of a user's list: all that share a room with the user or, after a join, those that were never told. */
  const note = async (userNum: number, onlyNew: boolean): Promise<void> => {
    const servers = await serversOf(userNum);
    const told = new Map(
      (await database.read('told of devices', (reader) => toldOfUser(reader, userNum))).map((row) => [row.destination, row]),
    );
    const wanted = onlyNew ? [...servers].filter((name) => !told.has(name)) : [...servers];
    const gone = onlyNew ? [] : [...told.keys()].filter((name) => !servers.has(name));
    if (wanted.length === 0 && gone.length === 0) return;
    await database.write('servers to be told of devices', async (tx) => {
      const known = new Map((await toldOfUser(tx, userNum)).map((row) => [row.destination, row]));
      for (const destination of wanted) {
        const { told_position: position = 0, last_id: lastId = 0 } = known.get(destination) ?? {};
        putTold(tx, { destination, user_num: userNum, told_position: position, last_id: lastId, is_waiting: 1 });
      }
      await deleteTold(tx, userNum, gone);
    });
    for (const name of wanted) waiting.add(name);
    for (const listener of listeners) listener(wanted);
  };

  const isOwn = async (userNums: readonly number[]): Promise<number[]> => {
    const ids = await strings.textOf(userNums);
    return userNums.filter((num) => domainOf(ids.get(num) ?? '') === serverName);
  };

  /** Users of this server who have joined rooms may meet servers that know nothing of their devices. */
  const joiners = async (from: number, to: number): Promise<Set<number>> => {
    const found = new Set<number>();
    for (const { pdu, stateKeyNum } of await graph.timeline.between(from, to, to - from)) {
      const isJoin = pdu.type === 'm.room.member' && pdu.content.membership === 'join';
      if (isJoin && stateKeyNum !== undefined && domainOf(pdu.state_key ?? '') === serverName) found.add(stateKeyNum);
    }
    return found;
  };

  const newsOf = async (row: ToldRow): Promise<News> => {
    const { user_num: userNum, told_position: after } = row;
    const { changes, isComplete, last } = await database.read('changes of devices', async (reader) => ({
      ...(await readListChanges(reader, userNum, after)),
      last: await readLastChange(reader, userNum),
    }));
    const userId = (await strings.textOf([userNum])).get(userNum) ?? '';
    const named = new Map((await devices.list(userNum)).map(({ deviceId, displayName }) => [deviceId, displayName]));
    const keys = (await published.of([userNum])).get(userNum);
    const crossSigning = [keys?.crossSigning.master, keys?.crossSigning.self_signing];
    const isKey = (name: string): boolean =>
      !named.has(name) && Object.values(keys?.crossSigning ?? {}).some((key) => key.publicKey === name);
    const isWhole = isComplete && after > 0 && changes.length <= MAX_CHANGES;
    const ofDevices = changes.filter(({ deviceId }) => !isKey(deviceId));
    let lastId = row.last_id;
    const texts = (isWhole ? ofDevices : ofDevices.slice(-1)).map(({ deviceId, position, previous }) => {
      const text = keys?.devices.get(deviceId);
      const { unsigned: _unsigned, ...device } = text === undefined ? {} : (JSON.parse(text) as JsonObject);
      const name = named.get(deviceId);
      const before = isWhole ? lastId : after === 0 ? 0 : previous;
      lastId = position;
      return eduText('m.device_list_update', {
        user_id: userId,
        device_id: deviceId,
        stream_id: position,
        prev_id: before === 0 ? [] : [before],
        ...(!named.has(deviceId) && { deleted: true }),
        ...(text !== undefined && { keys: device }),
        ...(tools.tellsNames && name !== undefined && { device_display_name: name }),
      });
    });
    if (changes.length > ofDevices.length) {
      const [master, selfSigning] = crossSigning.map((key) => (key === undefined ? undefined : (JSON.parse(key.json) as JsonObject)));
      texts.push(
        eduText('m.signing_key_update', {
          user_id: userId,
          ...(master !== undefined && { master_key: master }),
          ...(selfSigning !== undefined && { self_signing_key: selfSigning }),
        }),
      );
    }
    return { row, texts, upTo: Math.max(after, last), lastId };
  };

  /** A server has been told; what has changed meanwhile it is told next. */
  const writeOff = async (news: readonly News[]): Promise<void> => {
    await database.write('told of devices', async (tx) => {
      for (const { row, upTo, lastId } of news) {
        const isMore = (await readLastChange(tx, row.user_num)) > upTo;
        putTold(tx, { ...row, told_position: upTo, last_id: lastId, is_waiting: isMore ? 1 : 0 });
      }
    });
  };

  return {
    isWaiting: (destination) => waiting.has(destination),
    take: async (destination, { count, bytes }) => {
      waiting.delete(destination);
      const rows = await database.read('devices to be told of', (reader) => waitingFor(reader, destination, BATCH));
      const taken: News[] = [];
      let [left, room] = [count, bytes];
      for (const row of rows) {
        const news = await newsOf(row);
        const size = news.texts.reduce((sum, text) => sum + text.length, 0);
        if (taken.length > 0 && (news.texts.length > left || size > room)) break;
        taken.push(news);
        left -= news.texts.length;
        room -= size;
      }
      if (taken.length === 0) return undefined;
      const texts = taken.flatMap((news) => news.texts);
      if (texts.length === 0) {
        await writeOff(taken);
        return undefined;
      }
      waiting.add(destination);
      return {
        type: 'm.device_list_update',
        texts,
        sent: async () => {
          await writeOff(taken);
          if ((await database.read('devices to be told of', (reader) => waitingFor(reader, destination, 1))).length === 0)
            waiting.delete(destination);
        },
      };
    },
    waiting: () => waiting,
    count: () => waiting.size,
    onWaiting: (listener) => void listeners.push(listener),
    follow: async (followers: Followers) => {
      await followers.follow({
        name: 'device lists for other servers',
        stream: DEVICE_LISTS_STREAM,
        start: 'now',
        batch: BATCH,
        handle: async ({ from, to }) => {
          const changed = await database.read('changed device lists', (reader) => readChangedLists(reader, from.min, to.min));
          for (const userNum of await isOwn(changed)) await note(userNum, false);
        },
      });
      await followers.follow({
        name: 'devices of those who join',
        stream: EVENTS_STREAM,
        start: 'now',
        batch: BATCH,
        handle: async ({ from, to }) => {
          for (const userNum of await joiners(from.min, to.min)) await note(userNum, true);
        },
      });
    },
  };
};
