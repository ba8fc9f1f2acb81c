import type { Requester } from '#src/accounts/index.ts';
import { matchesIn, type Terms } from '#src/platform/text/words.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';
import { type History, type Shown, shownPdu } from '#src/rooms/history/index.ts';
import type { Catch, Hit } from '#src/search/finder.ts';
import { searchedText } from '#src/search/texts.ts';
import { formatNextBatch } from '#src/search/tokens.ts';

/** What is told beside each event that was found. */
export interface ContextWish {
  readonly before: number;
  readonly after: number;
  readonly withProfiles: boolean;
}

/** What is told of a catch. */
export interface AnswerWish {
  readonly terms: Terms;
  readonly context: ContextWish | undefined;
  readonly withState: boolean;
  readonly groups: ReadonlySet<'room_id' | 'sender'>;
  /** The room whose group it is. */
  readonly groupRoomId: string | undefined;
}

/** Writes what was found as the specification has it, as JSON text. */
export type WriteAnswer = (reader: Requester, found: Catch, wish: AnswerWish) => Promise<string>;

const WITH_RELATIONS = { withRoomId: true, withRelations: true } as const;
/** A longer one is no word that could be marked. */
const MAX_HIGHLIGHT = 200;
const MAX_HIGHLIGHTS = 500;

const array = (texts: readonly string[]): string => `[${texts.join(',')}]`;
const object = (members: Iterable<readonly [name: string, value: string]>): string =>
  `{${Array.from(members, ([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`;

export const highlightsOf = (hits: readonly Hit[], terms: Terms): string[] => {
  const words = hits.flatMap(({ shown }) => [...matchesIn(searchedText(shown.event.pdu) ?? '', terms)]);
  return [...new Set(words)].filter((word) => word.length <= MAX_HIGHLIGHT).slice(0, MAX_HIGHLIGHTS);
};

const groupsOf = (hits: readonly Hit[], keyOf: (shown: Shown) => string, nextOf: (key: string) => string | undefined): string => {
  const groups = [...Map.groupBy(hits, ({ shown }) => keyOf(shown))];
  return object(
    groups.map(([key, members], order) => [
      key,
      JSON.stringify({ results: members.map(({ shown }) => shown.event.eventId), order: order + 1, next_batch: nextOf(key) }),
    ]),
  );
};

export const createWriteAnswer = ({
  graph,
  history,
}: {
  graph: Pick<RoomGraph, 'states' | 'events'>;
  history: Pick<History, 'presenter' | 'reading'>;
}): WriteAnswer => {
  const { presenter, reading } = history;

  /** What the senders were called in the state after the last of the events. */
  const profilesOf = async (shown: readonly Shown[], last: Shown): Promise<string> => {
    const { room, event } = last;
    const senders = [...new Set(shown.map((each) => each.event.pdu.sender))];
    const profiles: [string, string][] = [];
    for (const sender of senders) {
      const num = await graph.states.get(room.num, event.stateRoot ?? '', 'm.room.member', sender);
      const member = num === undefined ? undefined : await graph.events.byNum(num);
      if (member === undefined) continue;
      const { displayname, avatar_url: avatarUrl } = shownPdu(member, roomVersion(room.version)).content;
      profiles.push([
        sender,
        JSON.stringify({
          ...(typeof displayname === 'string' && { displayname }),
          ...(typeof avatarUrl === 'string' && { avatar_url: avatarUrl }),
        }),
      ]);
    }
    return object(profiles);
  };

  const contextOf = async (reader: Requester, shown: Shown, { before, after, withProfiles }: ContextWish): Promise<string> => {
    const beside = await reading.around(reader, shown.room, shown.event, { before, after });
    const members: [string, string][] = [
      ['events_before', array(await presenter.present(beside.before, reader, WITH_RELATIONS))],
      ['events_after', array(await presenter.present(beside.after, reader, WITH_RELATIONS))],
      ['start', JSON.stringify(beside.start)],
      ['end', JSON.stringify(beside.end)],
    ];
    if (withProfiles)
      members.push(['profile_info', await profilesOf([...beside.before, shown, ...beside.after], beside.after.at(-1) ?? shown)]);
    return object(members);
  };

  const statesOf = async (reader: Requester, hits: readonly Hit[]): Promise<string> => {
    const states: [string, string][] = [];
    for (const roomId of new Set(hits.map(({ shown }) => shown.room.roomId)))
      states.push([roomId, array(await reading.state(reader, roomId))]);
    return object(states);
  };

  return async (reader, { hits, total, next }, { terms, context, withState, groups, groupRoomId }) => {
    const events = await presenter.present(
      hits.map(({ shown }) => shown),
      reader,
      WITH_RELATIONS,
    );
    const results: string[] = [];
    for (const [index, { shown, score }] of hits.entries()) {
      const beside = context === undefined ? '{}' : await contextOf(reader, shown, context);
      results.push(`{"rank":${String(score / 1000)},"result":${events[index] ?? '{}'},"context":${beside}}`);
    }
    const members: [string, string][] = [
      ['results', array(results)],
      ['count', String(total)],
      ['highlights', JSON.stringify(highlightsOf(hits, terms))],
    ];
    const grouped: [string, string][] = [];
    const nextIn = (roomId: string | undefined): string | undefined => next && formatNextBatch({ roomId, after: next });
    if (groups.has('room_id')) grouped.push(['room_id', groupsOf(hits, ({ room }) => room.roomId, nextIn)]);
    if (groups.has('sender'))
      grouped.push([
        'sender',
        groupsOf(
          hits,
          ({ event }) => event.pdu.sender,
          () => undefined,
        ),
      ]);
    if (grouped.length > 0 && hits.length > 0) members.push(['groups', object(grouped)]);
    if (withState && hits.length > 0) members.push(['state', await statesOf(reader, hits)]);
    // Who goes on from a room's group gets more of that room.
    if (next !== undefined) members.push(['next_batch', JSON.stringify(nextIn(groupRoomId))]);
    return `{"search_categories":{"room_events":${object(members)}}}`;
  };
};
