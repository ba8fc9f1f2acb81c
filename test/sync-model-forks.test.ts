// Random stories in rooms that another server forks: what clients believe of the state after each `/sync` is what a fresh reading says.

import fc from 'fast-check';
import type { NewEvent, RoomEvent, RoomInfo } from '#src/rooms/graph/index.ts';
import { withBothDatabases } from './support/databases.ts';
import { theirKey, tryArrive } from './support/other-server.ts';
import { member, message, openRoomsWorld, type RoomsWorld, state } from './support/rooms-world.ts';
import { createSyncClient, type Get, type SyncClient, type Way } from './support/sync-client.ts';
import { checkBeliefs, readFresh } from './support/sync-oracle.ts';
import { playStories } from './support/stories.ts';

const STORIES = 12;

const OURS = ['@alice:one.example', '@bob:one.example', '@carol:one.example', '@moderator:one.example'] as const;
const THEIRS = ['@erin:two.example', '@zed:two.example'] as const;
const [ALICE, , , MODERATOR] = OURS;
const [ERIN, ZED] = THEIRS;
const EVERYBODY = [...OURS, ...THEIRS] as const;

/** What a device was sent of members is remembered by device, and here each user has one: so one way loads members lazily. */
const WAYS: readonly Way[] = [
  { timeline: { limit: 100 } },
  { stateAfter: true, timeline: { limit: 100 } },
  { timeline: { limit: 3 } },
  { timeline: { limit: 4, not_types: ['m.room.member', 'm.room.topic'] } },
  { timeline: { limit: 5 }, state: { lazy_load_members: true } },
];

const ACTS = ['say', 'topic', 'model', 'name', 'join', 'leave', 'invite', 'kick', 'ban', 'ban', 'levels'] as const;
const act = fc.record({
  verb: fc.constantFrom(...ACTS),
  who: fc.nat(EVERYBODY.length - 1),
  whom: fc.nat(EVERYBODY.length - 1),
  value: fc.nat(7),
  /** How far behind the room's end the event is put, where it comes from elsewhere. */
  back: fc.nat(6),
});
const step = fc.oneof(
  { weight: 6, arbitrary: act },
  { weight: 3, arbitrary: fc.record({ verb: fc.constantFrom('sync', 'sync', 'again', 'back', 'check'), who: fc.nat(OURS.length - 1) }) },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant('judge'), which: fc.nat(10), isHidden: fc.boolean() }) },
);
type Act = ReturnType<typeof act.generate>['value'];
type Step = ReturnType<typeof step.generate>['value'];

interface Story {
  readonly world: RoomsWorld;
  readonly room: RoomInfo;
  /** What has a state that can be built upon, oldest first. */
  readonly events: RoomEvent[];
  readonly theirs: RoomEvent[];
  readonly judgedAgain: Set<string>;
  readonly clients: readonly SyncClient[];
  readonly getAs: (userId: string) => Get;
}

const wanted = ({ verb, who, whom, value }: Act, number: number): NewEvent => {
  const [sender, other] = [EVERYBODY[who], EVERYBODY[whom]] as [string, string];
  const memberships = { join: 'join', leave: 'leave', invite: 'invite', kick: 'leave', ban: 'ban' } as const;
  if (verb === 'say') return message(sender, String(number));
  if (verb === 'topic') return state(sender, 'm.room.topic', '', { topic: String(number) });
  if (verb === 'name') return state(sender, 'm.room.name', '', value > 3 ? { name: String(number) } : {});
  if (verb === 'model') return state(sender, 'org.example.model', String(value % 3), { number });
  if (verb !== 'levels') return member(sender, ['join', 'leave'].includes(verb) ? sender : other, memberships[verb]);
  const users = {
    [ALICE]: 100,
    [ZED]: 100,
    ...((value & 1) !== 0 && { [ERIN]: 90 }),
    ...((value & 2) !== 0 && { [MODERATOR]: 50 }),
  };
  return state(sender, 'm.room.power_levels', '', { users, state_default: (value & 4) !== 0 ? 50 : 0 });
};

/** Servers whose keys are not at hand. */
const hidden = new Set<string>();

const check = async ({ clients, getAs, judgedAgain }: Story, userId: string): Promise<void> => {
  const fresh = await readFresh(getAs(userId), true);
  for (const client of clients.filter((each) => each.userId === userId)) checkBeliefs(client, fresh, { forks: { judgedAgain } });
};

/** What the rules forbid is refused or rejected. */
const play = async (story: Story, each: Step, number: number): Promise<void> => {
  const { world, room, events, theirs, clients } = story;
  if ('which' in each) {
    const event = theirs.at(-each.which);
    if (each.isHidden) hidden.add('two.example');
    if (event !== undefined) {
      story.judgedAgain.add(event.eventId);
      await world.graph.judgeAgain(event.eventId);
    }
    hidden.clear();
  } else if (!('value' in each)) {
    const userId = OURS[each.who] as string;
    const how = each.verb === 'again' || each.verb === 'back' ? each.verb : undefined;
    for (const client of clients.filter((one) => one.userId === userId)) await client.sync(how);
    if (each.verb === 'check') await check(story, userId);
  } else if (each.who < OURS.length) {
    if (await world.tryAppend(room, wanted(each, number))) events.push(...(await world.graph.head(room)).extremities);
  } else {
    const prev = events[Math.max(0, events.length - 1 - each.back)] as RoomEvent;
    const event = await tryArrive(world, room, prev, wanted(each, number));
    if (event?.facts !== 0) return;
    events.push(event);
    theirs.push(event);
  }
};

withBothDatabases('clients that believe each sync know the state of rooms that fork', async (_t, open) => {
  const find = async (server: string) => (hidden.has(server) ? undefined : theirKey);
  const world = await openRoomsWorld(await open(), undefined, { serverKeys: { find } });
  const getAs =
    (userId: string): Get =>
    async (path) =>
      world.get(userId, path);
  await playStories(fc.array(step, { minLength: 20, maxLength: 80 }), STORIES, async (steps) => {
    const room = await world.makeRoom(ALICE, ...OURS.slice(1).map((userId) => member(userId, userId, 'join')));
    const events = [...(await world.graph.head(room)).extremities];
    const theirs: RoomEvent[] = [];
    const levels = wanted({ verb: 'levels', who: 0, whom: 0, value: 3, back: 0 }, 0);
    for (const userId of THEIRS) {
      const joined = await tryArrive(world, room, events.at(-1) as RoomEvent, member(userId, userId, 'join'));
      events.push(joined as RoomEvent);
    }
    events.push(await world.append(room, levels));
    const clients = OURS.flatMap((userId) => WAYS.map((way) => createSyncClient(getAs(userId), userId, way, { fillsGaps: false })));
    const story: Story = { world, room, events, theirs, judgedAgain: new Set(), clients, getAs };
    for (const [number, each] of steps.entries()) await play(story, each, number);
    for (const client of clients) await client.sync('again');
    for (const userId of OURS) await check(story, userId);
  });
  world.close();
});
