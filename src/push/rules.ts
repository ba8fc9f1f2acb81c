import { notFound, unrecognized } from '#src/protocol/errors.ts';
import { defaultPushRules, PUSH_RULE_KINDS } from '#src/protocol/push-rules.ts';
import type { PushRule, PushRuleKind, PushRuleset } from '#src/protocol/push-rules.ts';

const isKind = (text: string): text is PushRuleKind => (PUSH_RULE_KINDS as readonly string[]).includes(text);

/** A user's push rules, as clients read them. */
export interface PushRules {
  /** All rules of a user. */
  readonly rulesOf: (userId: string) => PushRuleset;
  /** The rules of a kind; throws `M_UNRECOGNIZED` for an unknown kind. */
  readonly rulesOfKind: (userId: string, kind: string) => readonly PushRule[];
  /** One rule; throws `M_NOT_FOUND`. */
  readonly rule: (userId: string, kind: string, ruleId: string) => PushRule;
}

/** The rules that the specification gives to everybody. */
export const createPushRules = (): PushRules => {
  const rulesOfKind = (userId: string, kind: string): readonly PushRule[] => {
    if (!isKind(kind)) throw unrecognized('Unrecognized request');
    return defaultPushRules(userId)[kind];
  };
  return {
    rulesOf: defaultPushRules,
    rulesOfKind,
    rule: (userId, kind, ruleId) => {
      const found = rulesOfKind(userId, kind).find((rule) => rule.rule_id === ruleId);
      if (found === undefined) throw notFound('Push rule not found.');
      return found;
    },
  };
};
