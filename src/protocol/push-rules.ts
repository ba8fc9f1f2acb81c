import type { ClientEvent } from '#src/protocol/client-event.ts';
import { globMatchesWords } from '#src/protocol/glob.ts';
import { parseUserId } from '#src/protocol/identifiers.ts';
import type { JsonValue } from '#src/protocol/json.ts';
import type { Condition, PushContext } from '#src/protocol/push-conditions.ts';
import { matchesCondition } from '#src/protocol/push-conditions.ts';

/** What a matching rule does: `notify`, or set a tweak of the notification. */
export type Action = string | { readonly set_tweak: string; readonly value?: JsonValue };

/** A push rule as `GET /pushrules/` gives it. */
export interface PushRule {
  readonly rule_id: string;
  readonly default: boolean;
  readonly enabled: boolean;
  readonly actions: readonly Action[];
  /** Of `override` and `underride` rules. */
  readonly conditions?: readonly Condition[];
  /** Of `content` rules. */
  readonly pattern?: string;
}

/** The kinds of rule in the order in which they are looked at. */
export const PUSH_RULE_KINDS = ['override', 'content', 'room', 'sender', 'underride'] as const;

export type PushRuleKind = (typeof PUSH_RULE_KINDS)[number];

/** A user's rules, each kind in order of priority. */
export type PushRuleset = Readonly<Record<PushRuleKind, readonly PushRule[]>>;

const HIGHLIGHT: Action = { set_tweak: 'highlight' };
const sound = (value: string): Action => ({ set_tweak: 'sound', value });

const eventMatch = (key: string, pattern: string): Condition => ({ kind: 'event_match', key, pattern });
const members = (is: string): Condition => ({ kind: 'room_member_count', is });
const MAY_NOTIFY_ROOM: Condition = { kind: 'sender_notification_permission', key: 'room' };

const rule = (id: string, conditions: readonly Condition[], actions: readonly Action[]): PushRule => ({
  rule_id: `.m.rule.${id}`,
  default: true,
  enabled: true,
  conditions,
  actions,
});

/** The rules that came before `m.mentions`, dropped from the specification in 1.17; an event that has `m.mentions` does not match them. */
export const LEGACY_MENTION_RULES: ReadonlySet<string> = new Set([
  '.m.rule.contains_display_name',
  '.m.rule.roomnotif',
  '.m.rule.contains_user_name',
]);

const overrideRules = (userId: string): readonly PushRule[] => [
  { ...rule('master', [], []), enabled: false },
  rule('suppress_notices', [eventMatch('content.msgtype', 'm.notice')], []),
  rule(
    'invite_for_me',
    [eventMatch('type', 'm.room.member'), eventMatch('content.membership', 'invite'), eventMatch('state_key', userId)],
    ['notify', sound('default')],
  ),
  rule('member_event', [eventMatch('type', 'm.room.member')], []),
  rule(
    'is_user_mention',
    [{ kind: 'event_property_contains', key: String.raw`content.m\.mentions.user_ids`, value: userId }],
    ['notify', sound('default'), HIGHLIGHT],
  ),
  rule('contains_display_name', [{ kind: 'contains_display_name' }], ['notify', sound('default'), HIGHLIGHT]),
  rule(
    'is_room_mention',
    [{ kind: 'event_property_is', key: String.raw`content.m\.mentions.room`, value: true }, MAY_NOTIFY_ROOM],
    ['notify', HIGHLIGHT],
  ),
  rule('roomnotif', [eventMatch('content.body', '@room'), MAY_NOTIFY_ROOM], ['notify', HIGHLIGHT]),
  rule('tombstone', [eventMatch('type', 'm.room.tombstone'), eventMatch('state_key', '')], ['notify', HIGHLIGHT]),
  rule('reaction', [eventMatch('type', 'm.reaction')], []),
  rule('room.server_acl', [eventMatch('type', 'm.room.server_acl'), eventMatch('state_key', '')], []),
  rule('suppress_edits', [{ kind: 'event_property_is', key: String.raw`content.m\.relates_to.rel_type`, value: 'm.replace' }], []),
];

const underrideRules: readonly PushRule[] = [
  rule('call', [eventMatch('type', 'm.call.invite')], ['notify', sound('ring')]),
  rule('encrypted_room_one_to_one', [members('2'), eventMatch('type', 'm.room.encrypted')], ['notify', sound('default')]),
  rule('room_one_to_one', [members('2'), eventMatch('type', 'm.room.message')], ['notify', sound('default')]),
  rule('message', [eventMatch('type', 'm.room.message')], ['notify']),
  rule('encrypted', [eventMatch('type', 'm.room.encrypted')], ['notify']),
];

const contentRules = (localpart: string): readonly PushRule[] => [
  {
    rule_id: '.m.rule.contains_user_name',
    default: true,
    enabled: true,
    pattern: localpart,
    actions: ['notify', sound('default'), HIGHLIGHT],
  },
];

/** The rules that a user has before changing any (client-server API, Predefined rules), with the legacy mention rules. */
export const defaultPushRules = (userId: string): PushRuleset => ({
  override: overrideRules(userId),
  content: contentRules(parseUserId(userId)?.localpart ?? userId),
  room: [],
  sender: [],
  underride: underrideRules,
});

const matchesRule = (kind: PushRuleKind, rule: PushRule, event: ClientEvent, roomId: string, context: PushContext): boolean => {
  switch (kind) {
    case 'content':
      return typeof event.content.body === 'string' && rule.pattern !== undefined && globMatchesWords(rule.pattern, event.content.body);
    case 'room':
      return rule.rule_id === roomId;
    case 'sender':
      return rule.rule_id === event.sender;
    default:
      return (rule.conditions ?? []).every((condition) => matchesCondition(condition, event, context));
  }
};

/**
 * The first rule, in order of kind and priority, that is enabled and matches the event; `undefined` when none does. Whether the event is the
 * user's own, which never notifies, is the caller's to ask.
 */
export const matchingPushRule = (
  rules: PushRuleset,
  event: ClientEvent,
  roomId: string,
  context: PushContext,
): { readonly kind: PushRuleKind; readonly rule: PushRule } | undefined => {
  const hasMentions = event.content['m.mentions'] !== undefined;
  for (const kind of PUSH_RULE_KINDS) {
    for (const rule of rules[kind]) {
      if (!rule.enabled || (hasMentions && LEGACY_MENTION_RULES.has(rule.rule_id))) continue;
      if (matchesRule(kind, rule, event, roomId, context)) return { kind, rule };
    }
  }
  return undefined;
};

/** What a rule's actions come to. */
export interface PushOutcome {
  readonly notify: boolean;
  readonly highlight: boolean;
  /** The tweaks for the push gateway, by name. */
  readonly tweaks: Readonly<Record<string, JsonValue>>;
}

/** The outcome of a rule's actions; unknown and historical ones (`dont_notify`, `coalesce`) do nothing. */
export const outcomeOf = ({ actions }: Pick<PushRule, 'actions'>): PushOutcome => {
  const tweaks = Object.fromEntries(
    actions.flatMap((action): [string, JsonValue][] =>
      // A tweak without a value is `true`, as the specification says of `highlight`.
      typeof action === 'string' ? [] : [[action.set_tweak, action.value ?? true]],
    ),
  );
  return { notify: actions.includes('notify'), highlight: tweaks.highlight === true, tweaks };
};
