import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const PYTHON = join(process.env['MYELIN_SYNAPSE_VENV'] ?? join(homedir(), '.cache/myelin/synapse-1.163.2'), 'bin/python');

/** The reason by which tests are skipped where there is no real Synapse, or `false`. */
export const WITHOUT_SYNAPSE = existsSync(PYTHON) ? false : 'real Synapse is not installed';

/** What Synapse makes of a request: an answer, a refusal with its reason, or an error that it does not expect. */
export interface Attempt<Answer = null> {
  readonly ok?: Answer;
  readonly refused?: string;
  readonly crashed?: string;
}

export interface Synapse extends AsyncDisposable {
  /** Asks for one operation of `oracle.py`. Throws `Error` when the operation itself does not work. */
  ask<Answer>(operation: string, request: Readonly<Record<string, unknown>>): Promise<Answer>;
}

/** Starts a Python with the real Synapse's functions in it. */
export const startSynapse = (): Synapse => {
  const child = spawn(PYTHON, [join(import.meta.dirname, 'oracle.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting: { readonly resolve: (answer: unknown) => void; readonly reject: (error: Error) => void }[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    const answer = JSON.parse(line) as { readonly failed?: string };
    const asked = waiting.shift();
    if (answer.failed === undefined) asked?.resolve(answer);
    else asked?.reject(new Error(`Synapse: ${answer.failed}`));
  });
  let hasEnded = false;
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      hasEnded = true;
      for (const { reject } of waiting.splice(0)) reject(new Error('Synapse has ended'));
      resolve();
    });
  });
  child.stdin.on('error', () => undefined);
  return {
    ask: async <Answer>(operation: string, request: Readonly<Record<string, unknown>>) =>
      new Promise<Answer>((resolve, reject) => {
        if (hasEnded) throw new Error('Synapse has ended');
        waiting.push({ resolve: resolve as (answer: unknown) => void, reject });
        child.stdin.write(`${JSON.stringify({ op: operation, ...request })}\n`);
      }),
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await ended;
    },
  };
};
