// What an operator of Synapse has is taken as it is: the configuration that Synapse writes starts Myelin, and Synapse's database is left alone.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './support/server.ts';

const MYELIN = join(import.meta.dirname, '../bin/myelin');
const PYTHON = join(process.env['MYELIN_SYNAPSE_VENV'] ?? join(homedir(), '.cache/myelin/synapse-1.163.2'), 'bin/python');
const PATIENCE_MS = 30_000;

interface Installation {
  readonly folder: string;
  readonly config: string;
  readonly origin: string;
}

/** What `--generate-config` of the real Synapse leaves behind, on a free port. */
const generate = async (context: TestContext): Promise<Installation | undefined> => {
  if (!existsSync(PYTHON)) {
    context.skip('real Synapse is not installed');
    return undefined;
  }
  const folder = mkdtempSync(join(tmpdir(), 'myelin-test-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const config = join(folder, 'homeserver.yaml');
  const options = ['--generate-config', '-H', 'test.example', '--report-stats=no', '-c', config, '--data-directory', folder];
  execFileSync(PYTHON, ['-m', 'synapse.app.homeserver', ...options], { cwd: folder, stdio: 'pipe' });
  const port = await freePort();
  writeFileSync(config, readFileSync(config, 'utf8').replaceAll('8008', String(port)));
  return { folder, config, origin: `http://127.0.0.1:${String(port)}` };
};

/** Runs a program until it answers or ends, then ends it; what it has printed and how it ended. */
const run = async ({ folder, origin }: Installation, program: string, args: readonly string[], whileUp: () => Promise<void>) => {
  const child = spawn(program, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const exit = once(child, 'exit');
  const deadline = Date.now() + PATIENCE_MS;
  for (let isUp = false; !isUp && child.exitCode === null && Date.now() < deadline; await sleep(50)) {
    isUp = await fetch(`${origin}/_matrix/client/versions`).then(
      (response) => response.ok,
      () => false,
    );
    if (isUp) await whileUp();
  }
  if (child.exitCode === null) child.kill('SIGTERM');
  const [code] = (await exit) as [number | null];
  return { code, output };
};

const digests = (folder: string): Record<string, string> => {
  const files = readdirSync(folder).filter((name) => name.startsWith('homeserver.db'));
  return Object.fromEntries(
    files.map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest('hex'),
    ]),
  );
};

test("Synapse's own configuration and signing key are used as they are", async (context) => {
  const installation = await generate(context);
  if (installation === undefined) return;
  const { code, output } = await run(installation, MYELIN, ['--config-path', installation.config], async () => {
    const response = await fetch(`${installation.origin}/_matrix/client/v3/login`);
    assert.equal(response.status, 200);
  });
  assert.equal(code, 0, output);
  assert.doesNotMatch(output, /unknown key/iu);
});

test("Synapse's database is refused, untouched, with the way out", async (context) => {
  const installation = await generate(context);
  if (installation === undefined) return;
  const { output: synapse } = await run(
    installation,
    PYTHON,
    ['-m', 'synapse.app.homeserver', '-c', installation.config],
    async () => undefined,
  );
  const before = digests(installation.folder);
  assert.ok('homeserver.db' in before, synapse);
  const { code, output } = await run(installation, MYELIN, ['--config-path', installation.config], async () => assert.fail('it started'));
  assert.equal(code, 1, output);
  assert.match(output, /import-synapse/u);
  const after = digests(installation.folder);
  assert.equal(after['homeserver.db'], before['homeserver.db']);
});
