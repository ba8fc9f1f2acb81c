// Authorisation rules: random events on random states, with verdicts as real Synapse gives them.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { authStateOf, checkAuth, checkAuthEvents } from '#src/protocol/auth-rules/index.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { signJson } from '#src/protocol/signatures.ts';
import { AUTHORISATION, type AuthCase } from './authorisation-differences.ts';
import { expectAgreement, runs } from './differences.ts';
import { ALICE, anyVersion, CAROL, DAVE, VERSIONS } from './events.ts';
import { caseOf, type Described, KEY, OTHER_KEY, type Story, story } from './stories.ts';
import { type Attempt, startSynapse, type Synapse, WITHOUT_SYNAPSE } from './synapse.ts';

const ourVerdict = ({ version, event, state, cited, rejected }: AuthCase) => {
  const authEvents = cited.map((citedEvent, index) => ({ ...citedEvent, rejected: rejected.includes(index) }));
  return { authEvents: checkAuthEvents(event, authEvents, version), state: checkAuth(event.pdu, authStateOf(state), version) };
};

interface TheirVerdict {
  readonly authEvents: Attempt;
  readonly state: Attempt;
}

/** Everybody is in the room and may do all that needs no level. */
const PLAIN: Story = {
  create: { creator: ALICE },
  levels: undefined,
  joinRule: 'public',
  members: ['join', 'join', 'join', undefined],
  invite: undefined,
  inviter: ALICE,
  event: { type: 'm.room.message', sender: CAROL, content: {} },
  citation: { without: undefined, twice: undefined, stray: undefined, rejected: undefined, elsewhere: undefined },
};

const member = (sender: string, stateKey: string, content: JsonObject): Described => ({ type: 'm.room.member', sender, stateKey, content });
const levelsEvent = (content: JsonObject, stateKey = ''): Described => ({ type: 'm.room.power_levels', sender: ALICE, stateKey, content });

/** For each difference a case that has it. */
const EXAMPLES: Readonly<Record<string, readonly [version: string, Partial<Story>]>> = {
  'm.federate is neither true nor false': ['10', { create: { creator: ALICE, 'm.federate': 0 } }],
  'm.federate and the target of a membership': [
    '10',
    { create: { creator: ALICE, 'm.federate': false }, event: member(ALICE, DAVE, { membership: 'invite' }) },
  ],
  'levels that are none': ['9', { levels: { events_default: 'x' } }],
  'levels that are texts in a state that cannot be': ['10', { levels: { events_default: '50' } }],
  "levels in Python's ways": ['9', { levels: { events_default: '5_0' } }],
  'users of no server': ['10', { event: levelsEvent({ users: { '@e:no server': 5 } }) }],
  'power levels that are not those of the room': [
    '10',
    { levels: { users: { [ALICE]: 50 } }, event: levelsEvent({ users: { [ALICE]: 90 } }, 'x') },
  ],
  'a redaction without redacts': ['1', { event: { type: 'm.room.redaction', sender: CAROL, content: {} } }],
  'a member without a server': ['10', { event: member(ALICE, 'x', { membership: 'invite' }) }],
  'an authoriser that is no user id': ['10', { event: member(CAROL, CAROL, { membership: 'join', join_authorised_via_users_server: 5 }) }],
  'a create event that rule 1.4 refuses': ['10', { create: {} }],
  'third-party invites with some keys that are none': [
    '10',
    {
      invite: { public_key: OTHER_KEY.publicKey, public_keys: [{}, { public_key: KEY.publicKey }] },
      event: member(ALICE, DAVE, {
        membership: 'invite',
        third_party_invite: { signed: signJson<JsonObject>({ mxid: DAVE, token: 'token' }, 'id.a', KEY) },
      }),
    },
  ],
};

describe('authorisation, compared with real Synapse', { skip: WITHOUT_SYNAPSE }, () => {
  let synapse: Synapse;
  before(() => (synapse = startSynapse()));
  after(async () => synapse[Symbol.asyncDispose]());

  /** Create events are judged by one rule, which Synapse counts among those of auth events. */
  const verdicts = async (given: AuthCase) => {
    const { version, text, cited, rejected, state, event } = given;
    const theirs = await synapse.ask<TheirVerdict>('authorise', {
      version: version.id,
      text,
      // Where the create event is not cited, Synapse takes it from the room id.
      authEvents: [...(version.createInAuthEvents ? [] : [state[0]!]), ...cited].map(({ json, eventId }) => ({
        text: json,
        rejected: rejected.some((index) => cited[index]?.eventId === eventId),
      })),
      state: state.map(({ json }) => json),
    });
    const ours = ourVerdict(given);
    // Which of the two checks refuses an event is not compared where both sides refuse it by its state.
    const allows = (attempt: Attempt): boolean => attempt.ok !== undefined;
    const isCreate = event.pdu.type === 'm.room.create';
    const combine = (byAuthEvents: boolean, byState: boolean): readonly boolean[] =>
      isCreate ? [byAuthEvents && byState] : [byState, byAuthEvents && byState];
    return {
      ours: combine(ours.authEvents.allowed, ours.state.allowed),
      theirs: combine(allows(theirs.authEvents), allows(theirs.state)),
      detail: JSON.stringify({ ours, theirs }),
    };
  };

  it('gives the same verdicts', async () => {
    await fc.assert(
      fc.asyncProperty(anyVersion, story, async (version, told) => {
        const given = caseOf(told, version);
        const { ours, theirs, detail } = await verdicts(given);
        expectAgreement(given, ours, theirs, AUTHORISATION, detail);
      }),
      runs(600, 30_000),
    );
  });

  for (const { name, reason, applies } of AUTHORISATION) {
    it(`disagrees on purpose: ${name} (${reason})`, async () => {
      const [version, told] = EXAMPLES[name]!;
      const given = caseOf({ ...PLAIN, ...told }, roomVersion(version));
      const { ours, theirs, detail } = await verdicts(given);
      assert.notDeepEqual(ours, theirs, detail);
      assert.ok(applies(given, detail));
    });
  }

  it('agrees on the plain case that these are made from', async () => {
    for (const version of VERSIONS) {
      const { ours, theirs, detail } = await verdicts(caseOf(PLAIN, roomVersion(version)));
      assert.deepEqual(
        [ours, theirs],
        [
          [true, true],
          [true, true],
        ],
        detail,
      );
    }
  });
});
