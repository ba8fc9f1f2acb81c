import { entryCache } from '#src/platform/cache/index.ts';
import { notFound, unrecognized } from '#src/protocol/errors.ts';
import { isJsonObject, type JsonValue, member } from '#src/protocol/json.ts';
import { defaultPushRules, type PushRule, type PushRuleset } from '#src/protocol/push-rules.ts';
import type { Database, Reader } from '#src/platform/database/types.ts';
import { withRoomRules } from '#src/push/carry-over.ts';
import { checkRuleId, isKind, parseChange, parseKind, parseRule } from '#src/push/parse.ts';
import { type Deviations, NO_DEVIATIONS, type Placement, rulesetOf, withChange, withoutRule, withRule } from '#src/push/ruleset.ts';
import { putRules, rulesOfUsers, usersChanged } from '#src/push/rules-store.ts';

/** The stream of changes of users' push rules. */
export const PUSH_RULES_STREAM = 'push_rules';

/** A user, by both names. */
export interface RuleOwner {
  readonly userId: string;
  readonly userNum: number;
}

/** Users' push rules: the predefined ones with each user's deviations. */
export interface PushRules {
  /** All rules of a user. */
  readonly rulesOf: (owner: RuleOwner) => Promise<PushRuleset>;
  /** All rules of those among many users who have changed any; the others have the predefined ones. */
  readonly changedRulesOf: (owners: readonly RuleOwner[]) => Promise<ReadonlyMap<number, PushRuleset>>;
  /** The rules of a kind; throws `M_UNRECOGNIZED` for an unknown kind. */
  readonly rulesOfKind: (owner: RuleOwner, kind: string) => Promise<readonly PushRule[]>;
  /** One rule; throws `M_NOT_FOUND`. */
  readonly rule: (owner: RuleOwner, kind: string, ruleId: string) => Promise<PushRule>;
  /** One member of a rule, as an object with that member. */
  readonly attribute: (owner: RuleOwner, kind: string, ruleId: string, name: string) => Promise<object>;
  /** Adds a rule or replaces the user's own one of that id. */
  readonly put: (owner: RuleOwner, kind: string, ruleId: string, body: unknown, placement: Placement) => Promise<void>;
  /** Sets `enabled` or `actions` of a rule. */
  readonly change: (owner: RuleOwner, kind: string, ruleId: string, attribute: string, body: unknown) => Promise<void>;
  readonly remove: (owner: RuleOwner, kind: string, ruleId: string) => Promise<void>;
  /** Makes a user's rules for a room hold for its successor too. */
  readonly carryOver: (owner: RuleOwner, fromRoomId: string, toRoomId: string) => Promise<void>;
  /** Where the stream stands. */
  readonly position: () => number;
  /** The position of the last change of a user's rules; 0 for who has changed nothing. */
  readonly changedAt: (owner: RuleOwner) => Promise<number>;
  /** Users whose rules last changed at a position in (after, upTo]. */
  readonly changedUsers: (after: number, upTo: number) => Promise<readonly number[]>;
}

const MAX_CACHED = 10_000;
/** One statement asks for at most so many users. */
const CHUNK = 1000;

interface Known {
  /** Up to where the stream had been published when this was read. */
  readonly asOf: number;
  /** Undefined for who has changed nothing. */
  readonly ruleset: PushRuleset | undefined;
  readonly changedAt: number;
}

const readDeviations = async (reader: Reader, userNum: number): Promise<Deviations> => {
  const [row] = await rulesOfUsers(reader, [userNum]);
  return row === undefined ? NO_DEVIATIONS : (JSON.parse(row.rules) as Deviations);
};

/** Push rules by user. What was read is kept; each change of the stream makes those forgotten whose rules changed. */
export const createPushRules = ({ database }: { readonly database: Database }): PushRules => {
  const cache = entryCache<number, Known>(MAX_CACHED);
  const position = (): number => database.positions.current(PUSH_RULES_STREAM).min;
  let seen = position();

  const changedUsers = async (after: number, upTo: number): Promise<readonly number[]> =>
    database.read('changed push rules', async (reader) => usersChanged(reader, after, upTo));

  /** Drops from the cache whose rules have changed, also those that another process has changed. */
  const refresh = async (): Promise<number> => {
    const now = position();
    if (now > seen) {
      const from = seen;
      for (const userNum of await changedUsers(from, now)) if ((cache.peek(userNum)?.asOf ?? now) < now) cache.delete(userNum);
      seen = Math.max(seen, now);
    }
    return now;
  };

  const knownOf = async (owners: readonly RuleOwner[]): Promise<ReadonlyMap<number, Known>> => {
    const asOf = await refresh();
    const found = new Map<number, Known>();
    const missing: RuleOwner[] = [];
    for (const owner of owners) {
      const known = cache.get(owner.userNum);
      if (known === undefined) missing.push(owner);
      else found.set(owner.userNum, known);
    }
    for (let start = 0; start < missing.length; start += CHUNK) {
      const chunk = missing.slice(start, start + CHUNK);
      const nums = chunk.map((owner) => owner.userNum);
      const rows = await database.read('push rules', async (reader) => rulesOfUsers(reader, nums));
      const rowOf = new Map(rows.map((row) => [row.user_num, row]));
      for (const { userId, userNum } of chunk) {
        const row = rowOf.get(userNum);
        const ruleset = row && rulesetOf(userId, JSON.parse(row.rules) as Deviations);
        const known: Known = { asOf, ruleset, changedAt: row?.position ?? 0 };
        found.set(userNum, known);
        // What was changed meanwhile may be older here than what has been forgotten already.
        if (position() === asOf) cache.set(userNum, known);
      }
    }
    return found;
  };

  const changedRulesOf = async (owners: readonly RuleOwner[]): Promise<ReadonlyMap<number, PushRuleset>> => {
    const changed = new Map<number, PushRuleset>();
    for (const [userNum, { ruleset }] of await knownOf(owners)) if (ruleset !== undefined) changed.set(userNum, ruleset);
    return changed;
  };

  const rulesOf = async (owner: RuleOwner): Promise<PushRuleset> =>
    (await changedRulesOf([owner])).get(owner.userNum) ?? defaultPushRules(owner.userId);

  const rulesOfKind = async (owner: RuleOwner, kind: string): Promise<readonly PushRule[]> => {
    if (!isKind(kind)) throw unrecognized('Unrecognized request');
    return (await rulesOf(owner))[kind];
  };

  const rule = async (owner: RuleOwner, kind: string, ruleId: string): Promise<PushRule> => {
    const found = (await rulesOfKind(owner, kind)).find((each) => each.rule_id === ruleId);
    if (found === undefined) throw notFound('Push rule not found.');
    return found;
  };

  const edit = async ({ userNum }: RuleOwner, how: (deviations: Deviations) => Deviations | undefined): Promise<void> =>
    database.write('change push rules', async (tx) => {
      const changed = how(await readDeviations(tx, userNum));
      if (changed === undefined) return;
      putRules(tx, { user_num: userNum, position: await tx.nextPositions(PUSH_RULES_STREAM), rules: JSON.stringify(changed) });
      tx.onCommit(() => void cache.delete(userNum));
    });

  return {
    rulesOf,
    changedRulesOf,
    rulesOfKind,
    rule,
    attribute: async (owner, kind, ruleId, name) => {
      const found = await rule(owner, kind, ruleId);
      if (!isJsonObject(found) || member(found, name) === undefined) throw unrecognized('Unrecognized request');
      return { [name]: member(found, name) as JsonValue };
    },
    put: async (owner, kind, ruleId, body, placement) => {
      const parsedKind = parseKind(kind);
      const parsed = parseRule(parsedKind, ruleId, body);
      await edit(owner, (deviations) => withRule(deviations, parsedKind, parsed, placement));
    },
    change: async (owner, kind, ruleId, attribute, body) => {
      const parsedKind = parseKind(kind);
      checkRuleId(ruleId);
      const change = parseChange(attribute, body);
      await edit(owner, (deviations) => withChange(deviations, owner.userId, parsedKind, ruleId, change));
    },
    remove: async (owner, kind, ruleId) => {
      if (!isKind(kind)) throw notFound('Not found');
      await edit(owner, (deviations) => withoutRule(deviations, kind, ruleId));
    },
    carryOver: async (owner, fromRoomId, toRoomId) => {
      const hasRules = (await changedRulesOf([owner])).has(owner.userNum);
      if (hasRules) await edit(owner, (deviations) => withRoomRules(deviations, fromRoomId, toRoomId));
    },
    position,
    changedAt: async (owner) => (await knownOf([owner])).get(owner.userNum)?.changedAt ?? 0,
    changedUsers,
  };
};
