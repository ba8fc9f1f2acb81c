import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Homeserver } from '#src/cli/door.ts';
import type { Io } from '#src/cli/io.ts';
import { createServiceManager } from '#src/cli/service-manager.ts';
import { serve } from '#src/cli/serve.ts';
import { ConfigError, loadConfig, type Config, type LoadedConfig } from '#src/platform/config/index.ts';

let folder: string;
// In a suite, so that the hooks belong to these tests alone when all files run in one process.
describe('running', () => {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'myelin-serve-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** A helper that writes down what it is called with, in place of systemd's. */
  const fakeHelper = (): { env: Record<string, string>; messages: () => string[] } => {
    const log = join(folder, 'messages');
    writeFileSync(join(folder, 'systemd-notify'), `#!/bin/sh\nprintf '%s\\n' "$*" >> '${log}'\n`);
    chmodSync(join(folder, 'systemd-notify'), 0o755);
    // Nobody listens there, so that the first way fails and the helper is called.
    const env = { PATH: `${folder}:${process.env['PATH'] ?? ''}`, NOTIFY_SOCKET: join(folder, 'nobody') };
    return { env, messages: () => readFileSync(log, 'utf8').trim().split('\n') };
  };

  test('runs until a signal, reloads on another, tells the service manager', async () => {
    const { env, messages } = fakeHelper();
    const seen: string[] = [];
    const io: Io = {
      cwd: folder,
      env,
      print: () => undefined,
      complain: () => undefined,
      ask: () => Promise.resolve(''),
      askSecret: () => Promise.resolve(''),
    };
    const log = join(folder, 'log.yaml');
    writeFileSync(
      log,
      `version: 1\nhandlers: {file: {class: logging.FileHandler, filename: ${JSON.stringify(join(folder, 'log'))}}}\nroot: {level: INFO, handlers: [file]}\n`,
    );
    const signals = new EventEmitter();
    let rate = 1;
    const load = (): LoadedConfig => {
      if (rate === 3) throw new ConfigError(['a: is wrong']);
      return loadConfig({
        values: { server_name: 'a', report_stats: false, database_path: ':memory:', rc_message: { per_second: rate }, log_config: log },
      });
    };
    const reloaded = Promise.withResolvers<void>();
    const homeserver: Homeserver = {
      urls: [],
      createRegistrationToken: () => Promise.resolve(''),
      reload: (config: Config) => {
        seen.push(`reload ${String(config.rc_message.per_second)}`);
        reloaded.resolve();
        return Promise.resolve();
      },
      stop: () => {
        seen.push('stop');
        return Promise.resolve();
      },
    };
    const startHomeserver = (config: Config): Promise<Homeserver> => {
      seen.push(`start ${config.server_name}`);
      return Promise.resolve(homeserver);
    };
    const onStarted = async (): Promise<void> => {
      rate = 2;
      signals.emit('SIGHUP');
      await reloaded.promise;
      rate = 3;
      signals.emit('SIGHUP');
      signals.emit('SIGTERM');
    };
    assert.equal(await serve({ loaded: load(), load, io, onStarted, signals }, () => Promise.resolve({ startHomeserver })), 0);
    assert.deepEqual(seen, ['start a', 'reload 2', 'stop']);
    assert.match(readFileSync(join(folder, 'log'), 'utf8'), /stays as it was, because the new one is wrong: a: is wrong/u);
    const words = messages().map((line) => line.split(' ')[1]?.split('=')[0]);
    assert.deepEqual(words.toSorted(), ['READY', 'READY', 'READY', 'RELOADING', 'RELOADING', 'STOPPING']);
    assert.equal(signals.listenerCount('SIGTERM') + signals.listenerCount('SIGHUP'), 0);
  });

  /** Binds a datagram socket, lets `action` send to it, and answers what came. */
  const receive = async (address: Buffer, action: () => Promise<void>): Promise<string> => {
    const { dlopen } = await import('node:ffi');
    using library = dlopen(null, {
      socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
      bind: { arguments: ['int32', 'buffer', 'uint32'], return: 'int32' },
      recv: { arguments: ['int32', 'buffer', 'uint64', 'int32'], return: 'int64' },
      close: { arguments: ['int32'], return: 'int32' },
    });
    const { socket, bind, recv, close } = library.functions;
    const descriptor = socket(1, 2, 0);
    assert.equal(bind(descriptor, address, address.length), 0);
    await action();
    const buffer = Buffer.alloc(1000);
    const DO_NOT_WAIT = 0x40;
    const length = Number(recv(descriptor, buffer, BigInt(buffer.length), DO_NOT_WAIT));
    close(descriptor);
    return buffer.toString('utf8', 0, length);
  };

  test(
    'messages go to a path and to an abstract name',
    { skip: process.platform !== 'linux' && 'only Linux has such sockets' },
    async () => {
      const name = `myelin-test-${String(process.pid)}`;
      const path = join(folder, 'notify');
      const family = Buffer.from(new Uint16Array([1]).buffer);
      for (const [address, bytes] of [
        [path, Buffer.from(`${path}\0`)],
        [`@${name}`, Buffer.from(`\0${name}`)],
      ] as const) {
        const warnings: string[] = [];
        const manager = createServiceManager({ NOTIFY_SOCKET: address }, (message) => warnings.push(message));
        const message = await receive(Buffer.concat([family, bytes]), () => manager.ready());
        assert.equal(message, `READY=1\nMAINPID=${String(process.pid)}\n`);
        assert.deepEqual(warnings, []);
      }
    },
  );

  test('bin/myelin works from anywhere, through links', async () => {
    symlinkSync(fileURLToPath(new URL('../../bin/myelin', import.meta.url)), join(folder, 'first'));
    symlinkSync('first', join(folder, 'second'));
    const child = spawn('./second', ['version'], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    assert.deepEqual(await Promise.all([text(child.stdout), text(child.stderr)]).then(([out, err]) => [out.split(' ')[0], err]), [
      'Myelin',
      '',
    ]);
  });
});
