import fc from 'fast-check';
import type { JsonObject } from '#src/protocol/json.ts';
import { ALICE, BOB, CAROL, DAVE, USERS } from './events.ts';

/** One event of a random history. */
export interface Step {
  readonly type: string;
  readonly stateKey: string;
  readonly sender: string;
  readonly content: JsonObject;
  /** Which events it follows: numbers that are taken modulo how many there are, the newest being 0. */
  readonly parents: readonly number[];
  readonly ts: number;
  /** Whether it cites auth events of another place in history than its own. */
  readonly staleAuth: number | undefined;
}

type What = Pick<Step, 'type' | 'stateKey' | 'sender' | 'content'>;

const user = fc.constantFrom(...USERS);
const strong = fc.constantFrom(ALICE, ALICE, BOB, BOB, CAROL, DAVE);

const memberships: fc.Arbitrary<What> = fc.oneof(
  user.map((who): What => ({ type: 'm.room.member', stateKey: who, sender: who, content: { membership: 'join' } })),
  user.map((who): What => ({ type: 'm.room.member', stateKey: who, sender: who, content: { membership: 'leave' } })),
  user.map((who): What => ({ type: 'm.room.member', stateKey: who, sender: who, content: { membership: 'knock' } })),
  fc
    .tuple(strong, user, fc.constantFrom('ban', 'ban', 'leave', 'invite'))
    .map(([sender, stateKey, membership]): What => ({ type: 'm.room.member', stateKey, sender, content: { membership } })),
  fc.tuple(user, user).map(([who, authoriser]): What => ({
    type: 'm.room.member',
    stateKey: who,
    sender: who,
    content: { membership: 'join', join_authorised_via_users_server: authoriser },
  })),
);

const levels: fc.Arbitrary<What> = fc
  .record({
    sender: strong,
    alice: fc.constantFrom(100, 100, 100, 50, undefined),
    bob: fc.constantFrom(50, 50, 100, 0, undefined),
    carol: fc.constantFrom(undefined, 50, 0),
    invite: fc.constantFrom(undefined, 0, 50),
    topic: fc.constantFrom(undefined, 0, 50, 100),
    isText: fc.integer({ min: 0, max: 9 }),
  })
  .map(({ sender, alice, bob, carol, invite, topic, isText }): What => {
    const given = Object.entries({ [ALICE]: alice, [BOB]: bob, [CAROL]: carol }).filter(([, level]) => level !== undefined);
    const users = Object.fromEntries(given) as JsonObject;
    return {
      type: 'm.room.power_levels',
      stateKey: '',
      sender,
      content: {
        users,
        ...(invite === undefined ? {} : { invite }),
        ...(topic === undefined ? {} : { events: { 'm.room.topic': isText === 0 ? String(topic) : topic } }),
      },
    };
  });

const joinRules: fc.Arbitrary<What> = fc
  .tuple(
    strong,
    fc.constantFrom('public', 'public', 'invite', 'knock', 'restricted', 'knock_restricted'),
    fc.constantFrom('', '', '', '', '', '', '', 'x'),
  )
  .map(([sender, rule, stateKey]): What => ({ type: 'm.room.join_rules', stateKey, sender, content: { join_rule: rule } }));

const others: fc.Arbitrary<What> = fc
  .tuple(strong, fc.constantFrom('m.room.topic', 'm.room.topic', 'm.room.name', 'm.room.third_party_invite', 'm.room.aliases'), fc.nat(3))
  .map(([sender, type, value]): What => ({
    type,
    stateKey: type === 'm.room.aliases' ? sender.slice(sender.indexOf(':') + 1) : type === 'm.room.third_party_invite' ? `t${value}` : '',
    sender,
    content: { value },
  }));

/** State that belongs to a user by its key (MSC3757): in other versions nobody may set it. */
const owned: fc.Arbitrary<What> = fc
  .tuple(user, user, fc.constantFrom('', '_place', '_', 'x'), fc.nat(3))
  .map(([sender, owner, suffix, value]): What => ({ type: 'one.place', stateKey: `${owner}${suffix}`, sender, content: { value } }));

/** Bans, power fights, joins that race with them, and topics that show who won. */
const what: fc.Arbitrary<What> = fc.oneof(
  { weight: 4, arbitrary: memberships },
  { weight: 3, arbitrary: levels },
  { weight: 2, arbitrary: joinRules },
  { weight: 4, arbitrary: others },
  { weight: 1, arbitrary: owned },
);

export const anyStep: fc.Arbitrary<Step> = fc
  .record({
    what,
    parents: fc.oneof(
      { weight: 6, arbitrary: fc.tuple(fc.nat(5)) },
      { weight: 3, arbitrary: fc.tuple(fc.nat(5), fc.nat(9)) },
      { weight: 1, arbitrary: fc.tuple(fc.nat(5), fc.nat(9), fc.nat(20)) },
    ),
    ts: fc.nat(20),
    staleAuth: fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(9) }),
  })
  .map(({ what: event, ...step }): Step => ({ ...event, ...step }));
