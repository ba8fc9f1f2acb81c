import type { Clock } from '#src/platform/clock.ts';
import type { Database, Transaction } from '#src/platform/database/types.ts';
import type { Random } from '#src/platform/random.ts';
import { packMessages } from '#src/to-device/outgoing.ts';
import type { Recipients } from '#src/to-device/recipients.ts';
import { deleteOutgoing, insertOutgoing, type OutboxRow, readDestinations, readOutgoing } from '#src/to-device/store.ts';

/** The content of an `m.direct_to_device` that waits for its server. */
export interface Outgoing {
  readonly destination: string;
  /** JSON. */
  readonly content: string;
}

/** What other servers have to be sent (server-server API, "Send-to-device messaging"). Kept for a week. */
export interface Outbox {
  /** Packs messages of one request into as few contents as hold them, each with an id by which the server tells it from others. */
  pack(remote: Recipients['remote'], sender: string, type: string): Outgoing[];
  /** Adds contents at positions from `first` on. */
  insert(tx: Transaction, outgoing: readonly Outgoing[], first: number): void;
  /** The oldest that a server has to be sent. */
  read(destination: string, limit: number): Promise<readonly Pick<OutboxRow, 'position' | 'content'>[]>;
  /** The servers that have to be sent something. */
  destinations(): Promise<readonly string[]>;
  /** Calls with servers for which something has been added and is durable. */
  onAdded(listener: (destinations: readonly string[]) => void): void;
  /** Deletes what a server has received. */
  received(destination: string, upTo: number): Promise<void>;
}

const MESSAGE_ID_LENGTH = 16;

export const createOutbox = ({ database, clock, random }: { database: Database; clock: Clock; random: Random }): Outbox => {
  const listeners: ((destinations: readonly string[]) => void)[] = [];
  return {
    pack: (remote, sender, type) =>
      [...remote].flatMap(([destination, users]) =>
        packMessages(users).map((messages) => {
          const head = JSON.stringify({ sender, type, message_id: random.string(MESSAGE_ID_LENGTH) });
          return { destination, content: `${head.slice(0, -1)},"messages":${messages}}` };
        }),
      ),
    insert: (tx, outgoing, first) => {
      const nowMs = clock.now();
      for (const [index, { destination, content }] of outgoing.entries())
        insertOutgoing(tx, { destination, position: first + index, content, created_ts: nowMs });
      const destinations = [...new Set(outgoing.map(({ destination }) => destination))];
      if (destinations.length > 0)
        tx.onCommit(() => {
          for (const listener of listeners) listener(destinations);
        });
    },
    destinations: () => database.read('to-device destinations', readDestinations),
    onAdded: (listener) => void listeners.push(listener),
    read: (destination, limit) => database.read('to-device outbox', (reader) => readOutgoing(reader, destination, limit)),
    received: async (destination, upTo) => {
      await database.write('to-device sent', (tx) => deleteOutgoing(tx, destination, upTo));
    },
  };
};
