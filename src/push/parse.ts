import { MatrixError, unknown, unrecognized } from '#src/protocol/errors.ts';
import { byteLength } from '#src/protocol/identifiers.ts';
import { isJsonObject, type JsonValue, member } from '#src/protocol/json.ts';
import type { Condition } from '#src/protocol/push-conditions.ts';
import { type Action, PUSH_RULE_KINDS, type PushRuleKind } from '#src/protocol/push-rules.ts';
import { type Change, isPredefined, type OwnRule } from '#src/push/ruleset.ts';

/** Synapse's limits: a rule's id with its kind in front, and its conditions and actions as JSON. */
const MAX_ID_BYTES = 300;
const MAX_RULE_BYTES = 1024;

const ACTIONS: ReadonlySet<JsonValue> = new Set(['notify', 'dont_notify', 'coalesce']);

export const isKind = (text: string): text is PushRuleKind => (PUSH_RULE_KINDS as readonly string[]).includes(text);

const tooLong = (message: string): MatrixError => new MatrixError(413, 'M_UNKNOWN', message);

/** Reads the kind in the path of a change. */
export const parseKind = (text: string): PushRuleKind => {
  if (!isKind(text)) throw unknown(`Unknown template: ${text}`);
  return text;
};

const parseActions = (value: JsonValue | undefined): readonly Action[] => {
  if (!Array.isArray(value)) throw unknown('No actions found');
  for (const action of value as readonly JsonValue[]) {
    const isTweak = isJsonObject(action) && typeof member(action, 'set_tweak') === 'string';
    if (!isTweak && !ACTIONS.has(action)) throw unknown(`Unrecognised action ${JSON.stringify(action)}`);
  }
  return value as readonly Action[];
};

const parseConditions = (value: JsonValue | undefined): readonly Condition[] => {
  if (!Array.isArray(value)) throw unknown("Missing 'conditions'");
  for (const condition of value as readonly JsonValue[])
    if (!isJsonObject(condition) || typeof member(condition, 'kind') !== 'string') throw unknown("Condition without 'kind'");
  return value as readonly Condition[];
};

/** Checks the id of a rule that is to be written. */
export const checkRuleId = (ruleId: string): void => {
  if (/[/\\]/.test(ruleId)) throw unknown('rule_id may not contain slashes');
};

/** Reads a rule that a user wants to have; throws `M_UNKNOWN` with what is wrong, as Synapse does. */
export const parseRule = (kind: PushRuleKind, ruleId: string, body: unknown): Omit<OwnRule, 'enabled'> => {
  checkRuleId(ruleId);
  if (isPredefined(ruleId)) throw unknown("cannot add new rule_ids that start with '.'");
  if (!isJsonObject(body)) throw unknown('A push rule is a JSON object');
  const conditions = kind === 'override' || kind === 'underride' ? { conditions: parseConditions(member(body, 'conditions')) } : {};
  const pattern = kind === 'content' ? member(body, 'pattern') : undefined;
  if (kind === 'content' && typeof pattern !== 'string') throw unknown("Content rule missing 'pattern'");
  const rule = {
    rule_id: ruleId,
    actions: parseActions(member(body, 'actions')),
    ...conditions,
    ...(typeof pattern === 'string' ? { pattern } : {}),
  };
  if (byteLength(`global/${kind}/${ruleId}`) > MAX_ID_BYTES) throw tooLong('Push rule ID length exceeds server limit');
  const { rule_id: _, ...rest } = rule;
  if (byteLength(JSON.stringify(rest)) > MAX_RULE_BYTES) throw tooLong('Push rule size exceeds server limit');
  return rule;
};

/** Reads a new value of a rule's `enabled` (also as a bare boolean, as old clients send it) or `actions`. */
export const parseChange = (attribute: string, body: unknown): Change => {
  if (attribute !== 'enabled' && attribute !== 'actions') throw unrecognized('Unrecognized request');
  if (attribute === 'enabled') {
    const enabled = isJsonObject(body) ? member(body, 'enabled') : body;
    if (typeof enabled !== 'boolean') throw unknown("Value for 'enabled' must be boolean");
    return { enabled };
  }
  if (!isJsonObject(body)) throw unknown('Value must be a dict');
  const actions = parseActions(member(body, 'actions'));
  if (byteLength(JSON.stringify(actions)) > MAX_RULE_BYTES) throw tooLong('Push rule size exceeds server limit');
  return { actions };
};

/** Where a new rule is to go, from the query. */
export const parsePlacement = (query: {
  readonly before?: string;
  readonly after?: string;
}): { before: string } | { after: string } | undefined => {
  if (query.before !== undefined && query.before !== '') return { before: query.before };
  if (query.after !== undefined && query.after !== '') return { after: query.after };
  return undefined;
};
