import type { Database } from '#src/platform/database/types.ts';

export interface Announcement {
  readonly stream: string;
  readonly writer: string;
  readonly position: number;
}

/**
 * How processes tell each other at once that a stream has moved. It carries no rows and may lose announcements: the positions
 * are also in the database, for `refreshPositions`. Redis is one; in one process it is `createLocalTransport`.
 */
export interface Transport {
  announce(stream: string, writer: string, position: number): void;
  /** Returns how to stop. */
  onAnnouncement(callback: (announcement: Announcement) => void): () => void;
}

/** Connects several databases that are open in one process. Announcements arrive in a later turn, as from a network. */
export const createLocalTransport = (): Transport => {
  const callbacks = new Set<(announcement: Announcement) => void>();
  return {
    announce: (stream, writer, position) => {
      setImmediate(() => {
        for (const callback of callbacks) callback({ stream, writer, position });
      });
    },
    onAnnouncement: (callback) => {
      callbacks.add(callback);
      return () => void callbacks.delete(callback);
    },
  };
};

/** Announces what this database publishes, and takes note of what others announce. Returns how to disconnect. */
export const connectTransport = ({ positions, writer }: Pick<Database, 'positions' | 'writer'>, transport: Transport): (() => void) => {
  const announced = new Map<string, number>();
  const announce = (streams: Iterable<string>): void => {
    for (const stream of streams) {
      const position = positions.own(stream);
      if (position <= (announced.get(stream) ?? 0)) continue;
      announced.set(stream, position);
      transport.announce(stream, writer, position);
    }
  };
  const stops = [
    positions.subscribe(announce),
    transport.onAnnouncement(({ stream, writer: other, position }) => positions.observe(stream, other, position)),
  ];
  announce(positions.streams());
  return () => {
    for (const stop of stops) stop();
  };
};
