// npm test: runs all tests, or those in the files that are named, and closes with one line of totals.
// A test that is skipped without being expected in test/skips.txt fails the run; with --no-skips every skipped test does.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Outcome } from './test-reporter.ts';

const REPORTER = join(import.meta.dirname, 'test-reporter.ts');
const SKIPS = 'test/skips.txt';
const GLOBAL_SETUP = 'test/support/global-setup.ts';

/** Long forms play for ten minutes on each engine. */
const PATIENCE = process.env['MYELIN_LONG'] === '1' ? 3 : 1;

interface Group {
  readonly name: string;
  readonly files: readonly string[];
  readonly options: readonly string[];
  /** A test that keeps its process busy cannot be timed out from within: then the whole group is ended. */
  readonly limitMs: number;
}

/** Tests of these folders end their process, or send it signals. */
const APART = 'src/cli/**/*.test.ts';

const GROUPS: readonly Group[] = [
  {
    // Unit tests share nothing but the process: one for all of them is many times faster.
    name: 'unit tests',
    files: globSync('src/**/*.test.ts', { exclude: [APART] }),
    options: ['--test-isolation=none', '--test-timeout=60000'],
    limitMs: 15 * 60_000,
  },
  {
    // Tests with homeservers in them get a process a file; the SDK's timers outlive its clients, so these do not wait for them.
    name: 'tests of the whole',
    files: globSync(['test/**/*.test.ts', APART]),
    options: [`--test-timeout=${String(PATIENCE * 600_000)}`, '--test-concurrency=2', '--test-force-exit'],
    limitMs: PATIENCE * 20 * 60_000,
  },
];

interface GroupResult {
  readonly outcomes: readonly Outcome[];
  readonly exitCode: number;
}

const runGroup = async (group: Group, files: readonly string[], folder: string): Promise<GroupResult> => {
  const lines = join(folder, `${group.name}.jsonl`);
  const reporters = [
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    `--test-reporter=${REPORTER}`,
    `--test-reporter-destination=${lines}`,
  ];
  const setup = existsSync(GLOBAL_SETUP) ? [`--test-global-setup=${GLOBAL_SETUP}`] : [];
  console.log(`\n${group.name}: ${String(files.length)} files`);
  const child = spawn(process.execPath, ['--test', ...group.options, ...setup, ...reporters, ...files], { stdio: 'inherit' });
  const terminate = setTimeout(() => {
    console.log(`${group.name}: not done after ${String(group.limitMs / 60_000)} minutes`);
    child.kill('SIGTERM');
  }, group.limitMs);
  const kill = setTimeout(() => child.kill('SIGKILL'), group.limitMs + 10_000);
  const [code] = (await once(child, 'exit')) as [number | null];
  clearTimeout(terminate);
  clearTimeout(kill);
  const text = existsSync(lines) ? readFileSync(lines, 'utf8') : '';
  return {
    outcomes: text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Outcome),
    exitCode: code ?? 1,
  };
};

/** The lines of test/skips.txt: `name # reason`, where `*` in the name stands for anything. */
const expectedSkips = (): ((skip: Outcome) => boolean) => {
  const lines = readFileSync(SKIPS, 'utf8').split('\n');
  const rules = lines
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', reason = ''] = /^(.*?) # (.*)$/.exec(line.trim()) ?? [];
      return {
        name: new RegExp(
          `^${name
            .split('*')
            .map((part) => RegExp.escape(part))
            .join('.*')}$`,
        ),
        reason,
      };
    });
  return (skip) => rules.some(({ name, reason }) => reason !== '' && reason === skip.reason && name.test(skip.name));
};

const main = async (): Promise<boolean> => {
  const { values, positionals } = parseArgs({ options: { 'no-skips': { type: 'boolean', default: false } }, allowPositionals: true });
  const folder = mkdtempSync(join(tmpdir(), 'myelin-test-'));
  const outcomes: Outcome[] = [];
  let sound = true;
  try {
    for (const group of GROUPS) {
      const files = group.files.filter((file) => positionals.length === 0 || positionals.some((part) => file.includes(part)));
      if (files.length === 0) continue;
      const result = await runGroup(group, files.toSorted(), folder);
      outcomes.push(...result.outcomes);
      sound &&= result.exitCode === 0;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }

  const skipped = outcomes.filter(({ result }) => result === 'skipped');
  const expected = expectedSkips();
  for (const skip of skipped) {
    const allowed = !values['no-skips'] && expected(skip);
    console.log(`${allowed ? 'skipped' : 'SKIPPED UNEXPECTEDLY'}: ${skip.file}: ${skip.name} # ${skip.reason}`);
    sound &&= allowed;
  }
  const count = (result: Outcome['result']): number => outcomes.filter((outcome) => outcome.result === result).length;
  if (outcomes.length === 0) console.log('No test ran.');
  console.log(`${String(count('passed'))} passed, ${String(count('failed'))} failed, ${String(count('skipped'))} skipped`);
  return sound && outcomes.length > 0;
};

process.exitCode = (await main()) ? 0 : 1;
