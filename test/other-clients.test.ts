// Two people talk through matrix-nio and mautrix as they come from PyPI, and every answer on the way is held against the specification.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { startCheckingProxy } from './support/checking-proxy.ts';
import { clientsPython, NO_CLIENTS } from './support/clients-venv.ts';
import { onEachEngine } from './support/engines.ts';

const SCENARIOS = join(import.meta.dirname, 'clients');
for (const [client, minimum] of [
  ['nio', 90],
  ['mautrix', 60],
] as const) {
  onEachEngine(
    `two people talk through ${client}`,
    async (startOnEngine) => {
      await using server = await startOnEngine();
      await using proxy = await startCheckingProxy(server.pool);
      const scenario = spawn(clientsPython ?? '', [join(SCENARIOS, `${client}_scenario.py`), proxy.origin], {
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      using ended = new DisposableStack();
      ended.defer(() => scenario.kill());
      const errors = text(scenario.stderr);
      const exit = once(scenario, 'exit') as Promise<[number | null]>;
      const said: string[] = [];
      for await (const line of createInterface({ input: scenario.stdout })) {
        said.push(line);
        if (line !== 'restart') continue;
        await server.stop();
        await server.start();
        scenario.stdin.write('restarted\n');
      }
      const [code] = await exit;
      assert.deepEqual({ code, said }, { code: 0, said: ['restart', 'done'] }, `${said.join('\n')}\n${await errors}`);
      assert.deepEqual(proxy.problems, []);
      assert.ok(proxy.passed() > minimum, `only ${String(proxy.passed())} answers were checked`);
    },
    { skip: clientsPython === undefined && NO_CLIENTS },
  );
}
