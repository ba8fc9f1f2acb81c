import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MatrixError } from '#src/protocol/errors.ts';
import { createPushRules } from '#src/push/rules.ts';

const errcode = (expected: string) => (error: unknown) => error instanceof MatrixError && error.errcode === expected;

test('everybody has the predefined rules, in all five kinds', () => {
  const rules = createPushRules().rulesOf('@alice:test');
  assert.deepEqual(Object.keys(rules).sort(), ['content', 'override', 'room', 'sender', 'underride']);
  assert.equal(rules.override[0]?.rule_id, '.m.rule.master');
  assert.deepEqual([...rules.room, ...rules.sender], []);
});

test('one rule is found by kind and id', () => {
  const { rule, rulesOfKind } = createPushRules();
  assert.equal(rule('@alice:test', 'override', '.m.rule.master').enabled, false);
  assert.ok(rulesOfKind('@alice:test', 'underride').length > 0);
  assert.throws(() => rule('@alice:test', 'underride', '.m.rule.master'), errcode('M_NOT_FOUND'));
  for (const kind of ['overrides', 'constructor', '']) assert.throws(() => rulesOfKind('@alice:test', kind), errcode('M_UNRECOGNIZED'));
});
