import type { Condition } from '#src/protocol/push-conditions.ts';
import { PUSH_RULE_KINDS, type PushRuleKind } from '#src/protocol/push-rules.ts';
import { type Deviations, type OwnRule, withRule } from '#src/push/ruleset.ts';

const isFor = (condition: Condition, roomId: string): boolean =>
  condition.kind === 'event_match' && condition.key === 'room_id' && condition.pattern === roomId;

/** Whether a rule is about one room: by its kind, or by a condition. */
const isAbout = (kind: PushRuleKind, rule: OwnRule, roomId: string): boolean =>
  kind === 'room' ? rule.rule_id === roomId : (rule.conditions ?? []).some((condition) => isFor(condition, roomId));

/** The same rule for another room; rules that are not named for their room are named for the new one, as Synapse does. */
const renamed = (rule: OwnRule, from: string, to: string): OwnRule => ({
  ...rule,
  rule_id: rule.rule_id.includes(from) ? rule.rule_id.replaceAll(from, () => to) : to,
  ...(rule.conditions && {
    conditions: rule.conditions.map((condition) => (isFor(condition, from) ? { ...condition, pattern: to } : condition)),
  }),
});

/**
 * A user's rules with those that are enabled and about one room also for another, its successor; undefined where that changes nothing. What there is for the successor
 * already stays. Throws `unknown` for too many rules.
 */
export const withRoomRules = (deviations: Deviations, from: string, to: string): Deviations | undefined => {
  let changed = deviations;
  for (const kind of PUSH_RULE_KINDS) {
    const own = deviations.own[kind] ?? [];
    // Each becomes the first of its kind, so that the last is the first to be added.
    for (const rule of own.toReversed()) {
      if (!rule.enabled || !isAbout(kind, rule, from)) continue;
      const copy = renamed(rule, from, to);
      const isThere = (changed.own[kind] ?? []).some((each) => each.rule_id === copy.rule_id);
      if (!isThere) changed = withRule(changed, kind, copy, undefined);
    }
  }
  return changed === deviations ? undefined : changed;
};
