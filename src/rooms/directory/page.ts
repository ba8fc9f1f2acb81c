import { invalidParam } from '#src/protocol/errors.ts';

/** What decides a room's place on the list. */
export interface Ranked {
  readonly room_id: string;
  readonly num_joined_members: number;
}

/** A place between two rooms of the list, and in which direction to read on from it. */
interface Place {
  readonly joined: number;
  readonly roomId: string;
  readonly forwards: boolean;
}

/** A part of the list, with the tokens of those before and after it. */
export interface Page<T> {
  readonly chunk: readonly T[];
  readonly next: string | undefined;
  readonly previous: string | undefined;
}

const FORM = /^(?<direction>[fb])(?<joined>\d{1,15}) (?<roomId>.*)$/s;

const parsePlace = (token: string): Place => {
  const groups = FORM.exec(Buffer.from(token, 'base64url').toString())?.groups;
  if (groups === undefined) throw invalidParam("'since' parameter is invalid");
  const { direction, joined, roomId } = groups as Record<'direction' | 'joined' | 'roomId', string>;
  return { joined: Number(joined), roomId, forwards: direction === 'f' };
};

const formatPlace = ({ num_joined_members: joined, room_id: roomId }: Ranked, forwards: boolean): string =>
  Buffer.from(`${forwards ? 'f' : 'b'}${String(joined)} ${roomId}`).toString('base64url');

/** After all rooms that there are. */
const END: Ranked = { room_id: '', num_joined_members: 0 };

/** The biggest come first; the order of equals is theirs by id, so that a place stays one while rooms come and go. */
export const compareRooms = (a: Ranked, b: Ranked): number =>
  b.num_joined_members - a.num_joined_members || (a.room_id < b.room_id ? -1 : Number(a.room_id !== b.room_id));

/** The part of a sorted list that a token leads to. Throws `invalidParam` for what is no token. */
export const pageOf = <T extends Ranked>(sorted: readonly T[], since: string | undefined, limit: number): Page<T> => {
  const place = since === undefined ? undefined : parsePlace(since);
  const at: Ranked = { room_id: place?.roomId ?? '', num_joined_members: place?.joined ?? Infinity };
  const order = sorted.map((each) => compareRooms(each, at));
  let from = 0;
  let to = limit;
  if (place?.forwards === true) {
    const found = order.findIndex((each) => each > 0);
    from = found === -1 ? sorted.length : found;
    to = from + limit;
  } else if (place !== undefined) {
    to = order.findLastIndex((each) => each < 0) + 1;
    from = Math.max(0, to - limit);
  }
  const chunk = sorted.slice(from, to);
  const first = chunk[0];
  const last = chunk.at(-1);
  return {
    chunk,
    next: last !== undefined && from + chunk.length < sorted.length ? formatPlace(last, true) : undefined,
    previous: from > 0 ? formatPlace(first ?? END, false) : undefined,
  };
};
