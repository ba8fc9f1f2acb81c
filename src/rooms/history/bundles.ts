import type { Database } from '#src/platform/database/types.ts';
import { relationOf } from '#src/protocol/relations.ts';
import type { Events, RoomEvent } from '#src/rooms/graph/index.ts';
import type { RoomReader, Shown } from '#src/rooms/history/presenter.ts';
import { latestEdits, referencesTo, relationsTo, type ThreadRow, threadsFrom } from '#src/rooms/history/relation-store.ts';
import type { IgnoredUsers, Visibility } from '#src/rooms/history/visibility.ts';

/** What is told with an event of those that relate to it (client-server API, "Aggregations of child events"). */
export interface Bundle {
  /** The ids of those that refer to it. */
  readonly references: readonly string[];
  /** Its latest edit. */
  readonly edit: Shown | undefined;
  /** The thread that begins with it. */
  readonly thread: { readonly latest: Shown; readonly size: number; readonly participated: boolean } | undefined;
}

/** Finds what relates to events, as far as one reader may see it; by the events' numbers, also for the latest events of the threads among them. */
export type ReadBundles = (shown: readonly Shown[], reader: RoomReader) => Promise<ReadonlyMap<number, Bundle>>;

export const NO_BUNDLES: ReadonlyMap<number, Bundle> = new Map();

/** State, edits and annotations have nothing of the kind. */
const mayHave = ({ stateKeyNum, pdu }: RoomEvent): boolean => {
  const type = stateKeyNum === undefined ? relationOf(pdu.content)?.type : 'm.replace';
  return type !== 'm.replace' && type !== 'm.annotation';
};

export const createBundles = ({
  database,
  events,
  visibility,
  ignoredUsers,
}: {
  database: Pick<Database, 'read'>;
  events: Events;
  visibility: Pick<Visibility, 'visible'>;
  ignoredUsers: IgnoredUsers;
}): ReadBundles => {
  /** Those of events by number that the reader may see. */
  const seenOf = async (nums: readonly number[], shown: readonly Shown[], reader: RoomReader): Promise<Map<number, Shown>> => {
    const seen = new Map<number, Shown>();
    const rooms = new Map(shown.map(({ room }) => [room.num, room]));
    for (const [roomNum, inRoom] of Map.groupBy((await events.byNums(nums)).values(), (event) => event.roomNum)) {
      const room = rooms.get(roomNum);
      if (room !== undefined) for (const each of await visibility.visible(reader, room, inRoom)) seen.set(each.event.num, each);
    }
    return seen;
  };

  /** What kinds of relations there are to the events, by relation type. */
  const kindsOf = async (of: readonly Shown[]): Promise<(type: string) => Shown[]> => {
    const ids = of.map(({ event }) => event.eventId);
    const rows = ids.length === 0 ? [] : await database.read('relations to events', (db) => relationsTo(db, ids));
    const byType = Map.groupBy(rows, (row) => row.relation_type);
    return (type) => {
      const targets = new Set(byType.get(type)?.map((row) => row.target_event_id));
      return targets.size === 0 ? [] : of.filter(({ event }) => targets.has(event.eventId));
    };
  };

  const numsOf = (of: readonly Shown[]): number[] => of.map(({ event }) => event.num);

  return async (shown, reader) => {
    const given = shown.filter(({ event }) => mayHave(event));
    const ofGiven = await kindsOf(given);
    // A thread begins with what is in none.
    const roots = ofGiven('m.thread').filter(({ event }) => relationOf(event.pdu.content) === undefined);
    const [edited, referred] = [ofGiven('m.replace'), ofGiven('m.reference')];
    if (roots.length + edited.length + referred.length === 0) return NO_BUNDLES;
    const ignored = [...(await ignoredUsers(reader.userNum))];
    const found: ThreadRow[] =
      roots.length === 0
        ? []
        : await database.read('threads', (db) => threadsFrom(db, numsOf(roots), { userNum: reader.userNum, ignored }));
    const latest = await seenOf(
      found.map((row) => row.event_num),
      roots,
      reader,
    );

    const all = [...given, ...latest.values()];
    const ofLatest = await kindsOf([...latest.values()]);
    const toEdit = [...edited, ...ofLatest('m.replace')].filter(({ event }) => event.redactedBy === undefined);
    const toRefer = [...referred, ...ofLatest('m.reference')];
    const edits = toEdit.length === 0 ? [] : await database.read('edits', (db) => latestEdits(db, numsOf(toEdit)));
    const seenEdits = await seenOf(
      edits.map((row) => row.event_num),
      toEdit,
      reader,
    );
    const references = toRefer.length === 0 ? [] : await database.read('references', (db) => referencesTo(db, numsOf(toRefer), ignored));

    const threadOf = new Map(found.map((row) => [row.target_num, row]));
    const editOf = new Map(edits.map((row) => [row.target_num, seenEdits.get(row.event_num)]));
    const referencesOf = Map.groupBy(references, (row) => row.target_num);
    const bundles = new Map<number, Bundle>();
    for (const { event } of all) {
      const row = threadOf.get(event.num);
      const last = row && latest.get(row.event_num);
      const bundle = {
        references: (referencesOf.get(event.num) ?? []).map((each) => each.event_id),
        edit: editOf.get(event.num),
        thread: row && last && { latest: last, size: row.size, participated: row.participated === 1 || event.senderNum === reader.userNum },
      };
      if (bundle.references.length > 0 || bundle.edit !== undefined || bundle.thread !== undefined) bundles.set(event.num, bundle);
    }
    return bundles;
  };
};
