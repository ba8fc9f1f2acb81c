// Runs the public conformance suite Complement against Myelin, through a stand-in for the container engine, and compares with what is known to pass.
//   COMPLEMENT_DIR=CHECKOUT [SHIM=FILE] node scripts/complement.ts [--update] [--partial] [--keep FILE] -- THE SUITE'S TEST COMMAND, PRINTING JSON
// See docs/testing.md.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const ROOT = join(import.meta.dirname, '..');
/** Another folder, with another image's name, measures another homeserver. */
const IMAGES = resolve(process.env['IMAGES'] ?? join(ROOT, 'test/conformance/images'));
const IMAGE = process.env['COMPLEMENT_BASE_IMAGE'] ?? 'myelin';
const PASSING = join(ROOT, 'test/conformance/passing.txt');
const SHIM = resolve(process.env['SHIM'] ?? join(ROOT, '../shared/lab/complement-shim/complement-shim.js'));

type Result = 'pass' | 'fail' | 'skip';

/** One line of the test command's output. */
interface SuiteEvent {
  readonly Action: string;
  readonly Package?: string;
  readonly Test?: string;
  readonly Output?: string;
}

const isResult = (action: string): action is Result => action === 'pass' || action === 'fail' || action === 'skip';

/** `tests/csapi TestLogin/parallel/GET_/login…`: the package below the suite's module, and the test. */
const nameOf = ({ Package: path = '', Test: test = '' }: SuiteEvent): string => `${path.replace(/^.*?\/complement\//, '')} ${test}`;

/** Runs the test command, with what it prints in a file: through a pipe that several programs share, lines get lost. */
const runSuite = async (command: readonly string[], directory: string, output: string): Promise<void> => {
  const file = openSync(output, 'w');
  const child = spawn('node', [SHIM, 'run', '--images', IMAGES, '--', ...command], {
    cwd: directory,
    env: { ...process.env, COMPLEMENT_BASE_IMAGE: IMAGE, COMPLEMENT_ENABLE_DIRTY_RUNS: '1' },
    stdio: ['ignore', file, 'inherit'],
  });
  closeSync(file);
  await once(child, 'exit');
};

const readResults = (output: string): Map<string, Result> => {
  const results = new Map<string, Result>();
  for (const line of readFileSync(output, 'utf8').split('\n')) {
    if (!line.startsWith('{')) continue;
    const event = JSON.parse(line) as SuiteEvent;
    if (event.Test === undefined) continue;
    // A test that was begun and never ended has failed.
    if (event.Action === 'run') results.set(nameOf(event), 'fail');
    else if (isResult(event.Action)) results.set(nameOf(event), event.Action);
  }
  return results;
};

const count = (results: ReadonlyMap<string, Result>, result: Result, topLevel: boolean): number =>
  results.entries().reduce((sum, [name, found]) => sum + Number(found === result && name.includes('/', name.indexOf(' ')) !== topLevel), 0);

const summary = (results: ReadonlyMap<string, Result>): string =>
  [true, false]
    .map((topLevel) => {
      const [passed, failed, skipped] = (['pass', 'fail', 'skip'] as const).map((result) => count(results, result, topLevel));
      return `${topLevel ? 'tests' : 'subtests'}: ${String(passed)} passed, ${String(failed)} failed, ${String(skipped)} skipped`;
    })
    .join('\n');

const main = async (): Promise<boolean> => {
  const { values, positionals: command } = parseArgs({
    options: { update: { type: 'boolean', default: false }, partial: { type: 'boolean', default: false }, keep: { type: 'string' } },
    allowPositionals: true,
  });
  const directory = process.env['COMPLEMENT_DIR'];
  if (directory === undefined || command.length === 0) {
    throw new Error("Set COMPLEMENT_DIR to a checkout of Complement, and give its test command after '--'");
  }
  const folder = mkdtempSync(join(tmpdir(), 'myelin-complement-'));
  const output = values.keep === undefined ? join(folder, 'output.json') : resolve(values.keep);
  await runSuite(command, directory, output);
  const results = readResults(output);
  rmSync(folder, { recursive: true });
  console.log(summary(results));

  const known = readFileSync(PASSING, 'utf8').split('\n').filter(Boolean);
  const lost = known.filter((name) => results.get(name) === 'fail');
  const packages = new Set(results.keys().map((name) => name.split(' ', 1)[0]));
  const absent = known.filter((name) => packages.has(name.split(' ', 1)[0]) && !['pass', 'fail'].includes(results.get(name) ?? ''));
  const gained = [...results].filter(([name, result]) => result === 'pass' && !known.includes(name)).map(([name]) => name);
  for (const name of lost) console.log(`LOST: ${name}`);
  if (!values.partial) for (const name of absent) console.log(`DID NOT RUN: ${name}`);
  console.log(
    `${String(known.length)} known to pass, ${String(lost.length)} lost, ${String(absent.length)} did not run, ${String(gained.length)} new`,
  );
  if (values.update)
    writeFileSync(
      PASSING,
      [...known, ...gained]
        .toSorted()
        .map((name) => `${name}\n`)
        .join(''),
    );
  return results.size > 0 && lost.length === 0 && (values.partial || absent.length === 0);
};

process.exitCode = (await main()) ? 0 : 1;
