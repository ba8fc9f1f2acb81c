import { notFound, unknown } from '#src/protocol/errors.ts';
import type { Condition } from '#src/protocol/push-conditions.ts';
import {
  type Action,
  defaultPushRules,
  PUSH_RULE_KINDS,
  type PushRule,
  type PushRuleKind,
  type PushRuleset,
} from '#src/protocol/push-rules.ts';

/** A rule that a user has made. */
export interface OwnRule {
  readonly rule_id: string;
  readonly enabled: boolean;
  readonly actions: readonly Action[];
  readonly conditions?: readonly Condition[];
  readonly pattern?: string;
}

/** What a user has changed of a predefined rule. */
export interface Change {
  readonly enabled?: boolean;
  readonly actions?: readonly Action[];
}

/** How a user's rules differ from the predefined ones; this is what is stored. */
export interface Deviations {
  /** By kind, in order of priority. */
  readonly own: Readonly<Partial<Record<PushRuleKind, readonly OwnRule[]>>>;
  /** By kind and rule id. */
  readonly changed: Readonly<Partial<Record<PushRuleKind, Readonly<Record<string, Change>>>>>;
}

export const NO_DEVIATIONS: Deviations = { own: {}, changed: {} };

/** Where a new rule goes among the user's own of its kind: next to another of them. */
export type Placement = { readonly before: string } | { readonly after: string } | undefined;

/** As many as Synapse allows. */
const MAX_RULES = 10_000;

const MASTER = '.m.rule.master';

/** Predefined rules' ids start with a dot, and no others'. */
export const isPredefined = (ruleId: string): boolean => ruleId.startsWith('.');

const ownOf = (deviations: Deviations, kind: PushRuleKind): readonly OwnRule[] => deviations.own[kind] ?? [];

/** A change that somebody made to a predefined rule; the table is the user's, so that only own keys count. */
const changeOf = (deviations: Deviations, kind: PushRuleKind, ruleId: string): Change | undefined => {
  const changes = deviations.changed[kind];
  return changes !== undefined && Object.hasOwn(changes, ruleId) ? changes[ruleId] : undefined;
};

/** All rules of a user, each kind in order of priority: the master rule, the user's own, the other predefined ones. */
export const rulesetOf = (userId: string, deviations: Deviations): PushRuleset => {
  const defaults = defaultPushRules(userId);
  const rulesOf = (kind: PushRuleKind): readonly PushRule[] => {
    const predefined = defaults[kind].map((rule): PushRule => ({ ...rule, ...changeOf(deviations, kind, rule.rule_id) }));
    const own = ownOf(deviations, kind).map((rule): PushRule => ({ ...rule, default: false }));
    const first = predefined[0]?.rule_id === MASTER ? predefined.slice(0, 1) : [];
    return [...first, ...own, ...predefined.slice(first.length)];
  };
  return {
    override: rulesOf('override'),
    content: rulesOf('content'),
    room: rulesOf('room'),
    sender: rulesOf('sender'),
    underride: rulesOf('underride'),
  };
};

const withOwn = (deviations: Deviations, kind: PushRuleKind, rules: readonly OwnRule[]): Deviations => ({
  ...deviations,
  own: { ...deviations.own, [kind]: rules },
});

/** Where in `rules` a placement points; throws where it names no rule of the user. */
const indexFor = (rules: readonly OwnRule[], placement: Placement): number => {
  if (placement === undefined) return 0;
  const [wanted, offset] = 'before' in placement ? [placement.before, 0] : [placement.after, 1];
  const found = rules.findIndex((rule) => rule.rule_id === wanted);
  if (found < 0) throw unknown(`before/after rule not found: ${wanted}`);
  return found + offset;
};

/** Adds a rule, first of its kind unless placed; one with the same id is replaced, keeps whether it is enabled, and moves as a new one would. */
export const withRule = (deviations: Deviations, kind: PushRuleKind, rule: Omit<OwnRule, 'enabled'>, placement: Placement): Deviations => {
  const rules = ownOf(deviations, kind);
  const existing = rules.find((each) => each.rule_id === rule.rule_id);
  const count = PUSH_RULE_KINDS.reduce((sum, each) => sum + ownOf(deviations, each).length, 0);
  if (existing === undefined && count >= MAX_RULES) throw unknown(`There may be no more than ${String(MAX_RULES)} push rules`);
  const others = rules.filter((each) => each !== existing);
  const isNextToItself = placement !== undefined && Object.values(placement)[0] === rule.rule_id;
  const index = isNextToItself && existing !== undefined ? rules.indexOf(existing) : indexFor(others, placement);
  return withOwn(deviations, kind, others.toSpliced(index, 0, { ...rule, enabled: existing?.enabled ?? true }));
};

/** Takes a rule of the user's own away; throws `M_NOT_FOUND`. */
export const withoutRule = (deviations: Deviations, kind: PushRuleKind, ruleId: string): Deviations => {
  const rules = ownOf(deviations, kind);
  const others = rules.filter((rule) => rule.rule_id !== ruleId);
  if (others.length === rules.length) throw notFound('Not found');
  return withOwn(deviations, kind, others);
};

/** Changes what a rule does or whether it is enabled; throws `M_NOT_FOUND`. */
export const withChange = (deviations: Deviations, userId: string, kind: PushRuleKind, ruleId: string, change: Change): Deviations => {
  if (isPredefined(ruleId)) {
    if (!defaultPushRules(userId)[kind].some((rule) => rule.rule_id === ruleId)) throw notFound('Unknown rule');
    const changes = { ...deviations.changed[kind], [ruleId]: { ...changeOf(deviations, kind, ruleId), ...change } };
    return { ...deviations, changed: { ...deviations.changed, [kind]: changes } };
  }
  const rules = ownOf(deviations, kind);
  if (!rules.some((rule) => rule.rule_id === ruleId)) throw notFound('Unknown rule');
  return withOwn(
    deviations,
    kind,
    rules.map((rule) => (rule.rule_id === ruleId ? { ...rule, ...change } : rule)),
  );
};
