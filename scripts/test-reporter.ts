import { relative } from 'node:path';

/** One test that has ended, as `scripts/test.ts` counts it. */
export interface Outcome {
  readonly result: 'passed' | 'failed' | 'skipped';
  readonly file: string;
  readonly name: string;
  /** Why it was skipped. */
  readonly reason: string;
}

interface TestEvent {
  readonly type: string;
  readonly data: {
    readonly name: string;
    readonly file?: string;
    readonly skip?: string | boolean;
    readonly todo?: string | boolean;
    readonly details?: { readonly type?: string };
  };
}

const outcomeOf = ({ type, data }: TestEvent): Outcome | undefined => {
  if ((type !== 'test:pass' && type !== 'test:fail') || data.details?.type === 'suite') return undefined;
  const left = data.skip ?? data.todo;
  const skipped = left !== undefined && left !== false;
  return {
    result: skipped ? 'skipped' : type === 'test:pass' ? 'passed' : 'failed',
    file: relative(process.cwd(), data.file ?? ''),
    name: data.name,
    reason: typeof left === 'string' ? left : '',
  };
};

/** A reporter for `node --test`: one line of JSON for each test that has ended. */
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    const outcome = outcomeOf(event);
    if (outcome) yield `${JSON.stringify(outcome)}\n`;
  }
}
