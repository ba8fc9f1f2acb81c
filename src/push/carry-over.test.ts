import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withRoomRules } from '#src/push/carry-over.ts';
import type { Deviations, OwnRule } from '#src/push/ruleset.ts';

const OLD = '!old:x';
const NEW = '!new:x';

const about = (ruleId: string, roomId: string, enabled = true): OwnRule => ({
  rule_id: ruleId,
  enabled,
  actions: ['notify'],
  conditions: [{ kind: 'event_match', key: 'room_id', pattern: roomId }],
});

test('rules about a room are made for its successor too, in their order, once', () => {
  const before: Deviations = {
    own: {
      room: [{ rule_id: OLD, enabled: true, actions: [] }],
      override: [about(`a ${OLD}`, OLD), about('off', OLD, false), about(OLD, OLD), about('other', '!other:x')],
      underride: [about(NEW, NEW), about('named', OLD)],
    },
    changed: { content: { '.m.rule.contains_user_name': { enabled: false } } },
  };
  const after = withRoomRules(before, OLD, NEW);
  assert.deepEqual(after, {
    own: {
      room: [{ rule_id: NEW, enabled: true, actions: [] }, ...(before.own.room ?? [])],
      override: [about(`a ${NEW}`, NEW), about(NEW, NEW), ...(before.own.override ?? [])],
      // What there is for the new room stays as it is.
      underride: before.own.underride,
    },
    changed: before.changed,
  });
  assert.equal(withRoomRules(after, OLD, NEW), undefined);
  assert.equal(withRoomRules({ own: {}, changed: {} }, OLD, NEW), undefined);
});
