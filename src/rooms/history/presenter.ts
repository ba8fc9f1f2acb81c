import { clampedInteger } from '#src/protocol/json.ts';
import type { Clock } from '#src/platform/clock.ts';
import type { Events, RoomEvent, RoomInfo } from '#src/rooms/graph/index.ts';
import { createEventWriter, type EventFormat, NOTHING_AROUND, type Surroundings } from '#src/rooms/history/client-event.ts';
import { type Bundle, NO_BUNDLES, type ReadBundles } from '#src/rooms/history/bundles.ts';
import type { ReplacedState } from '#src/rooms/history/replaced-state.ts';

/** Who reads. */
export interface RoomReader {
  readonly userId: string;
  readonly userNum: number;
  readonly deviceId: string | undefined;
}

/** An event on its way to a reader. */
export interface Shown {
  readonly room: RoomInfo;
  readonly event: RoomEvent;
  /** What the reader was in the room when the event was sent, where that is known. */
  readonly membership: string | undefined;
}

/** The transaction id with which a device sent an event, while it is remembered. */
export type TransactionIdOf = (userNum: number, deviceId: string, eventNum: number) => string | undefined;

export interface PresentOptions {
  /** False where the place of the event says its room. */
  readonly withRoomId: boolean;
  readonly format?: EventFormat;
  /** Whether it is told what relates to each event. */
  readonly withRelations?: boolean;
}

/** Makes the JSON text of events for those who read them. */
export interface Presenter {
  /** The texts in the events' order. Reads what surrounds all of them at once. */
  present(shown: readonly Shown[], reader: RoomReader, options: PresentOptions): Promise<string[]>;
}

export interface PresenterTools {
  readonly events: Events;
  readonly clock: Clock;
  readonly replacedState: ReplacedState;
  readonly transactionIdOf: TransactionIdOf;
  readonly readBundles: ReadBundles;
}

/** What relates to an event, as `m.relations` has it. */
const bundleText = ({ references, edit, thread }: Bundle, write: (shown: Shown) => string): string => {
  const members: string[] = [];
  if (references.length > 0)
    members.push(`"m.reference":${JSON.stringify({ chunk: references.map((eventId) => ({ event_id: eventId })) })}`);
  if (edit !== undefined) members.push(`"m.replace":${write(edit)}`);
  if (thread !== undefined) {
    const { latest, size, participated } = thread;
    const facts = `"count":${String(size)},"current_user_participated":${String(participated)}`;
    members.push(`"m.thread":{"latest_event":${write(latest)},${facts}}`);
  }
  return `{${members.join(',')}}`;
};

export const createPresenter = ({ events, clock, replacedState, transactionIdOf, readBundles }: PresenterTools): Presenter => {
  const writer = createEventWriter();

  /** What surrounds those events that are state or redacted. */
  const surroundingsOf = async (shown: readonly Shown[]): Promise<ReadonlyMap<RoomEvent, Surroundings>> => {
    const special = shown.map(({ event }) => event).filter((event) => event.stateKeyNum !== undefined || event.redactedBy !== undefined);
    const found = new Map<RoomEvent, Surroundings>();
    if (special.length === 0) return found;
    const replaced = await replacedState.of(special);
    const redactions = special.flatMap((event) => event.redactedBy ?? []);
    const around = await events.byNums([...new Set([...replaced.values(), ...redactions])]);
    for (const event of special) {
      const replacedNum = replaced.get(event.num);
      found.set(event, {
        replaced: replacedNum === undefined ? undefined : around.get(replacedNum),
        redaction: event.redactedBy === undefined ? undefined : around.get(event.redactedBy),
      });
    }
    return found;
  };

  return {
    present: async (shown, reader, { withRoomId, format = 'client', withRelations = false }) => {
      const bundles = withRelations ? await readBundles(shown, reader) : NO_BUNDLES;
      const within = [...bundles.values()].flatMap(({ edit, thread }) => [edit, thread?.latest].filter((each) => each !== undefined));
      const surroundings = await surroundingsOf([...shown, ...within]);
      const now = clock.now();
      const { deviceId } = reader;
      const write = ({ room, event, membership }: Shown): string => {
        const isOwn = event.senderNum === reader.userNum && deviceId !== undefined;
        const bundle = bundles.get(event.num);
        const forReader = {
          ageMs: now - clampedInteger(event.pdu.origin_server_ts),
          membership,
          transactionId: isOwn ? transactionIdOf(reader.userNum, deviceId, event.num) : undefined,
          relations: bundle && bundleText(bundle, write),
        };
        return writer.write(room, event, surroundings.get(event) ?? NOTHING_AROUND, forReader, withRoomId, format);
      };
      return shown.map(write);
    },
  };
};
