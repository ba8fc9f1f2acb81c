import { invalidParam } from '#src/protocol/errors.ts';
import type { Place } from '#src/search/store.ts';

/** Where the next page of a search begins, and of which group: of all that was found, or of one room. */
export interface NextBatch {
  /** The room's id; undefined for all rooms. */
  readonly roomId: string | undefined;
  readonly after: Place;
}

const FORM = /^(?<group>all|room_id)\n(?<key>[^\n]*)\n(?<rank>\d{1,16}),(?<ts>-?\d{1,16}),(?<num>\d{1,16})$/;

export const formatNextBatch = ({ roomId, after }: NextBatch): string =>
  Buffer.from(
    `${roomId === undefined ? 'all' : 'room_id'}\n${roomId ?? ''}\n${String(after.rank)},${String(after.ts)},${String(after.eventNum)}`,
  ).toString('base64url');

/** Throws `invalidParam` for what is no such token. */
export const parseNextBatch = (text: string): NextBatch => {
  const groups = FORM.exec(Buffer.from(text, 'base64url').toString('utf8'))?.groups;
  if (groups === undefined) throw invalidParam("'next_batch' parameter is invalid");
  return {
    roomId: groups['group'] === 'all' ? undefined : groups['key'],
    after: { rank: Number(groups['rank']), ts: Number(groups['ts']), eventNum: Number(groups['num']) },
  };
};
