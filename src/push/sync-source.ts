import type { JsonObject } from '#src/protocol/json.ts';
import type { PushRuleset } from '#src/protocol/push-rules.ts';
import type { Database } from '#src/platform/database/types.ts';
import { PUSH_RULES_STREAM, type PushRules, type RuleOwner } from '#src/push/rules.ts';

/** A stretch of the stream, as sync asks for it: what came after `after`, or everything, up to `upTo`. */
interface Span {
  readonly after: number | undefined;
  readonly upTo: number;
}

/** The stream of push rules, as sync reads it: the account data event `m.push_rules`, at first and when the rules have changed. */
export interface PushRulesSource {
  readonly part: 'pushRules';
  now(): { readonly position: number; readonly epoch: undefined };
  follow(wake: { users(userNums: Iterable<number>): void }): void;
  accountData(reader: RuleOwner, span: Span): Promise<readonly { readonly type: string; readonly content: JsonObject }[]>;
}

const contentOf = (rules: PushRuleset): JsonObject => ({ global: rules as unknown as JsonObject });

export const createPushRulesSource = ({
  database,
  rules,
}: {
  readonly database: Database;
  readonly rules: PushRules;
}): PushRulesSource => ({
  part: 'pushRules',
  now: () => ({ position: rules.position(), epoch: undefined }),
  follow: (wake) => {
    let told = rules.position();
    database.positions.subscribe((streams) => {
      if (!streams.has(PUSH_RULES_STREAM)) return;
      const from = told;
      told = rules.position();
      // Who is not woken for a lost read finds the change when asking next.
      void rules.changedUsers(from, told).then(
        (userNums) => wake.users(userNums),
        () => undefined,
      );
    });
  },
  accountData: async (reader, { after, upTo }) => {
    if (after !== undefined) {
      const changed = await rules.changedAt(reader);
      if (changed <= after || changed > upTo) return [];
    }
    return [{ type: 'm.push_rules', content: contentOf(await rules.rulesOf(reader)) }];
  },
});
