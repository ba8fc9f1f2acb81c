import type { ClientEvent } from '#src/protocol/client-event.ts';
import { globMatches } from '#src/protocol/glob.ts';
import { compileCondition, type Condition, type Matcher, type PushContext } from '#src/protocol/push-conditions.ts';
import {
  LEGACY_MENTION_RULES,
  outcomeOf,
  PUSH_RULE_KINDS,
  type PushRule,
  type PushRuleKind,
  type PushRuleset,
} from '#src/protocol/push-rules.ts';
import { type Anchor, anchorOfGlob, anchorOfName } from '#src/push/anchors.ts';

/** What an event adds to a user's counts; a highlight counts only with a notification. */
export interface Outcome {
  readonly notifications: 0 | 1;
  readonly highlights: 0 | 1;
}

export const NOTHING: Outcome = { notifications: 0, highlights: 0 };
const NOTIFIES: Outcome = { notifications: 1, highlights: 0 };
const HIGHLIGHTS: Outcome = { notifications: 1, highlights: 1 };

/** What a rule adds to the counts. */
export const countOf = (rule: Pick<PushRule, 'actions'> | undefined): Outcome => {
  if (rule === undefined) return NOTHING;
  const { notify, highlight } = outcomeOf(rule);
  if (!notify) return NOTHING;
  return highlight ? HIGHLIGHTS : NOTIFIES;
};

/** A rule of a class: nothing in it is a single user's. */
interface ClassRule {
  readonly conditions: readonly Condition[];
  /** Does not hold for events that have `m.mentions`. */
  readonly legacy: boolean;
  readonly outcome: Outcome;
}

/** A user's rules as a room sees them: the class, and what makes the user a candidate for being different from it. */
export interface RoomRules {
  /** JSON of the class's rules; equal for all users of the class. */
  readonly classText: string;
  /** Without the user's name and id, which every user is looked for by. */
  readonly anchors: readonly Anchor[];
}

/** The predefined rules that look for the user: whoever is mentioned, named or invited is a candidate in any case. */
const RULES_ABOUT_THE_USER: ReadonlySet<string> = new Set([
  '.m.rule.invite_for_me',
  '.m.rule.is_user_mention',
  '.m.rule.contains_display_name',
  '.m.rule.contains_user_name',
]);

const CONDITION_KINDS: ReadonlySet<string> = new Set([
  'event_match',
  'event_property_is',
  'event_property_contains',
  'contains_display_name',
  'room_member_count',
  'sender_notification_permission',
]);

/** The conditions of a rule but for those that say which room; undefined when it never matches in this room. */
const conditionsIn = (kind: PushRuleKind, rule: PushRule, roomId: string): readonly Condition[] | undefined => {
  if (kind === 'room') return rule.rule_id === roomId ? [] : undefined;
  if (kind === 'sender') return [{ kind: 'event_property_is', key: 'sender', value: rule.rule_id }];
  if (kind === 'content')
    return rule.pattern === undefined ? undefined : [{ kind: 'event_match', key: 'content.body', pattern: rule.pattern }];
  const left: Condition[] = [];
  for (const condition of rule.conditions ?? []) {
    if (!CONDITION_KINDS.has(condition.kind)) return undefined;
    if (condition.kind !== 'event_match' || condition.key !== 'room_id') left.push(condition);
    else if (typeof condition.pattern !== 'string' || !globMatches(condition.pattern, roomId)) return undefined;
  }
  return left;
};

/** Something that an event must have for the condition to hold, where that is rare enough to be looked for. */
const anchorOf = (condition: Condition, name: string | undefined): Anchor | 'nobody' | undefined => {
  const { kind, key, pattern, value } = condition;
  if (kind === 'contains_display_name') return (name === undefined ? undefined : anchorOfName(name)) ?? 'nobody';
  if (kind === 'event_property_is' && key === 'sender' && typeof value === 'string') return { kind: 'sender', sender: value };
  if (kind === 'event_match' && key === 'content.body' && typeof pattern === 'string') return anchorOfGlob(pattern);
  return undefined;
};

/**
 * Splits a user's rules for a room. Rules that look for something rare (a keyword, a sender, a name) become anchors; the others, but for what they say beside
 * counts, are the class. So for an event without any of a user's anchors, which does not mention the user, the class comes to what all of the rules come to.
 */
export const roomRulesOf = (rules: PushRuleset, roomId: string, name: string | undefined): RoomRules => {
  const classRules: ClassRule[] = [];
  const anchors: Anchor[] = [];
  const add = (kind: PushRuleKind, rule: PushRule): boolean => {
    if (!rule.enabled || (rule.default && RULES_ABOUT_THE_USER.has(rule.rule_id))) return false;
    const conditions = conditionsIn(kind, rule, roomId);
    if (conditions === undefined) return false;
    const found = rule.default ? [] : conditions.map((condition) => anchorOf(condition, name)).filter((anchor) => anchor !== undefined);
    if (found.includes('nobody')) return false;
    const anchor = found.find((each) => each !== 'nobody');
    if (anchor !== undefined) {
      anchors.push(anchor);
      return false;
    }
    classRules.push({ conditions, legacy: LEGACY_MENTION_RULES.has(rule.rule_id), outcome: countOf(rule) });
    return conditions.length === 0;
  };
  // What stands behind a rule without conditions is never reached.
  PUSH_RULE_KINDS.some((kind) => rules[kind].some((rule) => add(kind, rule)));
  // No rule at all comes to nothing too.
  while (classRules.at(-1)?.outcome === NOTHING) classRules.pop();
  return { classText: JSON.stringify(classRules), anchors };
};

/** Says what an event adds to the counts of a class. */
export type ClassEvaluator = (event: ClientEvent, context: PushContext, hasMentions: boolean) => Outcome;

/** Makes a class ready for evaluating events. */
export const compileClass = (classText: string): ClassEvaluator => {
  const rules = (JSON.parse(classText) as readonly ClassRule[]).map(({ conditions, legacy, outcome }) => ({
    matchers: conditions.map((condition): Matcher => compileCondition(condition)),
    legacy,
    outcome,
  }));
  return (event, context, hasMentions) => {
    for (const { matchers, legacy, outcome } of rules)
      if (!(legacy && hasMentions) && matchers.every((matches) => matches(event, context))) return outcome;
    return NOTHING;
  };
};
