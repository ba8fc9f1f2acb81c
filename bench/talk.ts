import { someone, type Bench } from './load.ts';
import { keywordOf, type World } from './seed.ts';

export const BODY = 'The quick brown fox jumps over the lazy dog, and then it goes home to sleep.';

let transaction = 0;
export const send = ({ client, world }: Bench, userIndex: number, roomId: string, content: object): Promise<unknown> =>
  client.call(
    'PUT',
    `/rooms/${encodeURIComponent(roomId)}/send/m.room.message/bench${String(transaction++)}`,
    someone(world.users, userIndex),
    { msgtype: 'm.text', ...content },
  );

/** What is said in a crowded room: every fifth message mentions somebody, every seventh has somebody's keyword. */
export const crowdContent = ({ users }: World, members: number, index: number, body = BODY): object => {
  const mentioned = someone(users, (index * 7) % members).userId;
  if (index % 5 === 0) return { body, 'm.mentions': { user_ids: [mentioned] } };
  return { body: index % 7 === 0 ? `${body} ${keywordOf((index * 15) % members)}` : body, 'm.mentions': {} };
};
