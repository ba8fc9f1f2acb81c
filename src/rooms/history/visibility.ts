import { entryCache } from '#src/platform/cache/index.ts';
import type { ErasedUsers } from '#src/accounts/index.ts';
import { redact } from '#src/protocol/redaction.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import type { NodeId, RoomEvent, RoomGraph, RoomInfo } from '#src/rooms/graph/index.ts';
import { isAccepted, NEVER_SHOWN } from '#src/rooms/graph/index.ts';
import type { RoomReader, Shown } from '#src/rooms/history/presenter.ts';
import type { ReplacedState } from '#src/rooms/history/replaced-state.ts';

const HISTORY_VISIBILITY = 'm.room.history_visibility';
const MEMBER = 'm.room.member';
const CALL = 'm.call.invite';

/** From the most to the least open. */
const SETTINGS = ['world_readable', 'shared', 'invited', 'joined'] as const;
export type HistoryVisibility = (typeof SETTINGS)[number];

const settingOf = (event: RoomEvent | undefined): HistoryVisibility => {
  const setting = event?.pdu.content.history_visibility;
  return SETTINGS.find((each) => each === setting) ?? 'shared';
};

/** The more open of two settings. */
const opener = (a: HistoryVisibility, b: HistoryVisibility): HistoryVisibility =>
  SETTINGS[Math.min(SETTINGS.indexOf(a), SETTINGS.indexOf(b))] as HistoryVisibility;

/**
 * The rule itself (client-server API, "Room History Visibility"): the setting and the reader's membership are those of the state at the event;
 * `joinedLater` says that the reader joined at some time after it.
 */
export const maySee = (setting: HistoryVisibility, membership: string | undefined, joinedLater: boolean): boolean => {
  if (setting === 'world_readable' || membership === 'join') return true;
  if (setting === 'shared') return joinedLater;
  return setting === 'invited' && membership === 'invite';
};

/** Whom a user has chosen not to hear, by number. */
export type IgnoredUsers = (userNum: number) => Promise<ReadonlySet<number>>;

/** What a reader is in a room (undefined: never was anything), and the root of the state that says so. */
export interface Standing {
  readonly root: NodeId;
  readonly membership: string | undefined;
}

/** Decides which events a reader may see. Every way of reading a room asks here. */
export interface Visibility {
  /**
   * Of some events of one room, in their order, those that the reader may see. Costs two look-ups per state that occurs among them; `standing`
   * saves a caller who knows it the look at where the reader stands now.
   */
  visible(reader: RoomReader, room: RoomInfo, events: readonly RoomEvent[], standing?: Standing): Promise<Shown[]>;
  /** Whether the reader, who may read the room as `standing` says, may read the state of this root too, such as its members. */
  maySeeState(reader: RoomReader, room: RoomInfo, root: NodeId, standing: { readonly isIn: boolean }): Promise<boolean>;
  /** The history visibility of a state. */
  settingAt(room: RoomInfo, root: NodeId): Promise<HistoryVisibility>;
}

const MAX_SETTINGS = 50_000;

export interface VisibilityTools {
  readonly graph: Pick<RoomGraph, 'events' | 'states' | 'memberships' | 'currentRoot'>;
  readonly replacedState: ReplacedState;
  readonly ignoredUsers: IgnoredUsers;
  readonly erasedUsers: Pick<ErasedUsers, 'has'>;
}

export const createVisibility = ({ graph, replacedState, ignoredUsers, erasedUsers }: VisibilityTools): Visibility => {
  // A root names a state for ever, so what it says about visibility does not change.
  const settings = entryCache<string, HistoryVisibility>(MAX_SETTINGS);

  const eventAt = async (room: RoomInfo, root: NodeId, type: string, stateKey: string): Promise<RoomEvent | undefined> => {
    const num = await graph.states.get(room.num, root, type, stateKey);
    return num === undefined ? undefined : graph.events.byNum(num);
  };

  const settingAt = async (room: RoomInfo, root: NodeId): Promise<HistoryVisibility> => {
    const name = `${String(room.num)}/${root}`;
    const known = settings.get(name);
    if (known !== undefined) return known;
    const setting = settingOf(await eventAt(room, root, HISTORY_VISIBILITY, ''));
    settings.set(name, setting);
    return setting;
  };

  /** An event that changes the setting is judged by the more open of the two. */
  const settingFor = async (room: RoomInfo, event: RoomEvent, root: NodeId): Promise<HistoryVisibility> => {
    const after = await settingAt(room, root);
    if (event.pdu.type !== HISTORY_VISIBILITY || event.pdu.state_key !== '') return after;
    const before = (await replacedState.of([event])).get(event.num);
    return opener(after, settingOf(before === undefined ? undefined : await graph.events.byNum(before)));
  };

  const membershipAt = async (reader: RoomReader, room: RoomInfo, root: NodeId): Promise<string | undefined> => {
    const membership = (await eventAt(room, root, MEMBER, reader.userId))?.pdu.content.membership;
    return typeof membership === 'string' ? membership : undefined;
  };

  /** Calls ring for all who read them, so in public rooms they are for nobody. */
  const ringsStrangers = async (room: RoomInfo, event: RoomEvent, root: NodeId): Promise<boolean> =>
    event.stateKeyNum === undefined && (await eventAt(room, root, 'm.room.join_rules', ''))?.pdu.content.join_rule === 'public';

  /** An erased user's events are shown whole to those alone who have had them all along. */
  const asShown = (room: RoomInfo, event: RoomEvent, then: string | undefined): Shown => {
    const isHidden = then !== 'join' && erasedUsers.has(event.senderNum);
    return {
      room,
      event: isHidden ? { ...event, pdu: redact(event.pdu, roomVersion(room.version)) } : event,
      membership: then ?? 'leave',
    };
  };

  /** What the reader was at each root; the current state is answered from memory. */
  const membershipReader = (reader: RoomReader, room: RoomInfo, standing: Standing) => {
    const known = new Map<NodeId, string | undefined>([[standing.root, standing.membership]]);
    const at = async (root: NodeId): Promise<string | undefined> => {
      if (known.has(root)) return known.get(root);
      const membership = await membershipAt(reader, room, root);
      known.set(root, membership);
      return membership;
    };
    let joins: Promise<readonly number[]> | undefined;
    const readJoins = async (): Promise<readonly number[]> =>
      (await graph.memberships.changes(reader.userNum, 0, Number.MAX_SAFE_INTEGER))
        .filter((change) => change.room_num === room.num && change.membership === 'join')
        .map((change) => change.stream_position);
    const joinedAfter = async (event: RoomEvent): Promise<boolean> => {
      if (standing.membership === undefined) return false;
      if (standing.membership === 'join') return true;
      joins ??= readJoins();
      return (await joins).some((position) => event.position !== undefined && position > event.position);
    };
    return { at, joinedAfter };
  };

  const standingOf = async (reader: RoomReader, room: RoomInfo): Promise<Standing> => ({
    root: await graph.currentRoot(room),
    membership: (await graph.memberships.in(room.num, reader.userNum))?.membership,
  });

  const visible: Visibility['visible'] = async (reader, room, events, standing) => {
    if (events.length === 0) return [];
    const ignored = await ignoredUsers(reader.userNum);
    const membership = membershipReader(reader, room, standing ?? (await standingOf(reader, room)));
    const shown: Shown[] = [];
    for (const event of events) {
      const isOwnMembership = event.pdu.type === MEMBER && event.stateKeyNum === reader.userNum;
      if (!isAccepted(event) || NEVER_SHOWN.has(event.pdu.type)) continue;
      if (event.stateKeyNum === undefined && ignored.has(event.senderNum)) continue;
      if (event.stateRoot === undefined) {
        if (isOwnMembership) shown.push({ room, event, membership: undefined });
        continue;
      }
      const then = await membership.at(event.stateRoot);
      // What becomes of themselves everybody is told.
      const isAllowed =
        isOwnMembership ||
        then === 'join' ||
        maySee(await settingFor(room, event, event.stateRoot), then, then !== 'join' && (await membership.joinedAfter(event)));
      if (!isAllowed || (event.pdu.type === CALL && (await ringsStrangers(room, event, event.stateRoot)))) continue;
      shown.push(asShown(room, event, then));
    }
    return shown;
  };

  const maySeeState: Visibility['maySeeState'] = async (reader, room, root, { isIn }) => {
    const then = await membershipAt(reader, room, root);
    const setting = await settingAt(room, root);
    return maySee(setting, then, isIn) || (then === 'invite' && setting !== 'joined');
  };

  return { visible, maySeeState, settingAt };
};
