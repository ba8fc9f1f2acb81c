import assert from 'node:assert/strict';
import type { PushRule } from '#src/protocol/push-rules.ts';
import { MatrixError } from '#src/protocol/errors.ts';
import { createPushRules, type PushRules } from '#src/push/rules.ts';
import { createPushRulesSource } from '#src/push/sync-source.ts';
import { withBothDatabases } from '#test/support/databases.ts';

const ALICE = { userId: '@alice:test', userNum: 1 };
const BOB = { userId: '@bob:test', userNum: 2 };

const errcode = (status: number, expected: string) => (error: unknown) =>
  error instanceof MatrixError && error.errcode === expected && error.status === status;

const idsOf = (rules: readonly PushRule[]): string[] => rules.map((rule) => rule.rule_id).filter((id) => !id.startsWith('.'));

withBothDatabases('everybody has the predefined rules, and changes are the own ones alone', async (_t, open) => {
  const database = await open();
  const rules = createPushRules({ database });
  const { override, room, sender } = await rules.rulesOf(ALICE);
  assert.equal(override[0]?.rule_id, '.m.rule.master');
  assert.deepEqual([...room, ...sender], []);
  await rules.change(ALICE, 'override', '.m.rule.master', 'enabled', { enabled: true });
  await rules.change(ALICE, 'underride', '.m.rule.message', 'actions', { actions: ['notify', { set_tweak: 'highlight' }] });
  for (const each of [rules, createPushRules({ database })]) {
    assert.equal((await each.rule(ALICE, 'override', '.m.rule.master')).enabled, true);
    assert.deepEqual((await each.rule(ALICE, 'underride', '.m.rule.message')).actions, ['notify', { set_tweak: 'highlight' }]);
    assert.equal((await each.rule(BOB, 'override', '.m.rule.master')).enabled, false);
  }
});

withBothDatabases('own rules stand behind the master rule and before the others, in the order that is asked for', async (_t, open) => {
  const rules = createPushRules({ database: await open() });
  const body = { conditions: [], actions: ['notify'] };
  await rules.put(ALICE, 'override', 'first', body, undefined);
  await rules.put(ALICE, 'override', 'second', body, undefined);
  await rules.put(ALICE, 'override', 'behind first', body, { after: 'first' });
  await rules.put(ALICE, 'override', 'before first', body, { before: 'first' });
  const order = async (): Promise<string[]> => idsOf((await rules.rulesOf(ALICE)).override);
  assert.deepEqual(await order(), ['second', 'before first', 'first', 'behind first']);
  await rules.change(ALICE, 'override', 'first', 'enabled', false);
  await rules.put(ALICE, 'override', 'first', { conditions: [], actions: [] }, undefined);
  assert.deepEqual(await order(), ['first', 'second', 'before first', 'behind first']);
  assert.deepEqual(await rules.rule(ALICE, 'override', 'first'), {
    rule_id: 'first',
    default: false,
    enabled: false,
    conditions: [],
    actions: [],
  });
  const { override } = await rules.rulesOf(ALICE);
  assert.deepEqual([override[0]?.rule_id, override[5]?.rule_id], ['.m.rule.master', '.m.rule.suppress_notices']);
  await rules.remove(ALICE, 'override', 'second');
  assert.deepEqual(await order(), ['first', 'before first', 'behind first']);
});

const refusals: readonly [what: string, act: (rules: PushRules) => Promise<unknown>, status: number, code: string][] = [
  ['a kind that is none', (rules) => rules.rulesOfKind(ALICE, 'constructor'), 404, 'M_UNRECOGNIZED'],
  ['a rule that is not there', (rules) => rules.rule(ALICE, 'underride', '.m.rule.master'), 404, 'M_NOT_FOUND'],
  ['a rule into a kind that is none', (rules) => rules.put(ALICE, 'overrides', 'a', {}, undefined), 400, 'M_UNKNOWN'],
  ['an id with a dot in front', (rules) => rules.put(ALICE, 'room', '.a', { actions: [] }, undefined), 400, 'M_UNKNOWN'],
  ['an id with a slash', (rules) => rules.put(ALICE, 'room', 'a/b', { actions: [] }, undefined), 400, 'M_UNKNOWN'],
  ['an id with a backslash', (rules) => rules.put(ALICE, 'room', 'a\\b', { actions: [] }, undefined), 400, 'M_UNKNOWN'],
  ['a rule that is no object', (rules) => rules.put(ALICE, 'room', 'a', [], undefined), 400, 'M_UNKNOWN'],
  ['a rule without actions', (rules) => rules.put(ALICE, 'room', 'a', {}, undefined), 400, 'M_UNKNOWN'],
  ['an unknown action', (rules) => rules.put(ALICE, 'room', 'a', { actions: ['shout'] }, undefined), 400, 'M_UNKNOWN'],
  ['an override rule without conditions', (rules) => rules.put(ALICE, 'override', 'a', { actions: [] }, undefined), 400, 'M_UNKNOWN'],
  [
    'a condition without a kind',
    (rules) => rules.put(ALICE, 'override', 'a', { actions: [], conditions: [{}] }, undefined),
    400,
    'M_UNKNOWN',
  ],
  ['a content rule without a pattern', (rules) => rules.put(ALICE, 'content', 'a', { actions: [] }, undefined), 400, 'M_UNKNOWN'],
  ['a place before nothing', (rules) => rules.put(ALICE, 'room', 'a', { actions: [] }, { before: 'b' }), 400, 'M_UNKNOWN'],
  [
    'a place before a predefined rule',
    (rules) => rules.put(ALICE, 'override', 'a', { actions: [], conditions: [] }, { before: '.m.rule.master' }),
    400,
    'M_UNKNOWN',
  ],
  ['an id that is too long', (rules) => rules.put(ALICE, 'room', 'a'.repeat(300), { actions: [] }, undefined), 413, 'M_UNKNOWN'],
  [
    'a rule that is too big',
    (rules) => rules.put(ALICE, 'content', 'a', { actions: [], pattern: 'a'.repeat(1024) }, undefined),
    413,
    'M_UNKNOWN',
  ],
  ['a change of what is not there', (rules) => rules.change(ALICE, 'room', 'a', 'enabled', true), 404, 'M_NOT_FOUND'],
  ['a change of an unknown predefined rule', (rules) => rules.change(ALICE, 'room', '.m.rule.a', 'enabled', true), 404, 'M_NOT_FOUND'],
  ['an unknown attribute', (rules) => rules.change(ALICE, 'override', '.m.rule.master', 'pattern', {}), 404, 'M_UNRECOGNIZED'],
  ['enabled by a word', (rules) => rules.change(ALICE, 'override', '.m.rule.master', 'enabled', { enabled: 'yes' }), 400, 'M_UNKNOWN'],
  ['actions that are no list', (rules) => rules.change(ALICE, 'override', '.m.rule.master', 'actions', { actions: {} }), 400, 'M_UNKNOWN'],
  ['the removal of a predefined rule', (rules) => rules.remove(ALICE, 'override', '.m.rule.master'), 404, 'M_NOT_FOUND'],
  ['the removal of what is not there', (rules) => rules.remove(ALICE, 'room', 'a'), 404, 'M_NOT_FOUND'],
];

withBothDatabases("what is wrong is refused with Synapse's codes, and changes nothing", async (_t, open) => {
  const rules = createPushRules({ database: await open() });
  for (const [what, act, status, code] of refusals) await assert.rejects(act(rules), errcode(status, code), what);
  assert.equal(rules.position(), 0);
});

withBothDatabases('a change is seen where another process has made it, and told to whoever syncs', async (_t, open) => {
  const database = await open();
  const [here, there] = [createPushRules({ database }), createPushRules({ database })];
  const source = createPushRulesSource({ database, rules: here });
  const { promise: woken, resolve } = Promise.withResolvers<readonly number[]>();
  source.follow({ users: (userNums) => resolve([...userNums]) });
  assert.equal((await here.rule(ALICE, 'override', '.m.rule.master')).enabled, false);
  await there.change(ALICE, 'override', '.m.rule.master', 'enabled', true);
  assert.equal((await here.rule(ALICE, 'override', '.m.rule.master')).enabled, true);
  assert.deepEqual(await woken, [ALICE.userNum]);
  const upTo = source.now().position;
  const [event] = await source.accountData(ALICE, { after: 0, upTo });
  assert.deepEqual(event, { type: 'm.push_rules', content: { global: await here.rulesOf(ALICE) } });
  assert.deepEqual(await source.accountData(ALICE, { after: upTo, upTo }), []);
  assert.deepEqual(await source.accountData(BOB, { after: 0, upTo }), []);
  assert.equal((await source.accountData(BOB, { after: undefined, upTo })).length, 1);
});
