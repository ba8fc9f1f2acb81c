import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { readArguments } from '#src/cli/arguments.ts';
import { firstSteps, prepareFirstSteps } from '#src/cli/first-steps.ts';
import { main } from '#src/cli/index.ts';
import { UsageError, type Io } from '#src/cli/io.ts';
import { loadConfig } from '#src/platform/config/index.ts';

let folder: string;
// In a suite, so that the hooks belong to these tests alone when all files run in one process.
describe('command line', () => {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'myelin-cli-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  interface Run {
    readonly code: number;
    readonly out: string;
    readonly err: string;
  }

  const fakeIo = (answers: readonly string[] = []): { io: Io; out: string[]; err: string[] } => {
    const left = [...answers];
    const out: string[] = [];
    const err: string[] = [];
    const ask = (): Promise<string> => Promise.resolve(left.shift() ?? '');
    return {
      io: { cwd: folder, env: {}, print: (line) => out.push(line), complain: (line) => err.push(line), ask, askSecret: ask },
      out,
      err,
    };
  };

  const myelin = async (args: readonly string[], answers: readonly string[] = []): Promise<Run> => {
    const { io, out, err } = fakeIo(answers);
    const code = await main(args, io);
    return { code, out: out.join('\n'), err: err.join('\n') };
  };

  const GENERATE = ['--generate-config', '-c', 'hs.yaml', '-H', 'example.com', '--report-stats=no'];

  test('long options may be shortened while they stay unique', () => {
    const options = {
      'config-path': { type: 'string', multiple: true, help: '' },
      'config-directory': { type: 'string', help: '' },
      verbose: { type: 'boolean', short: 'v', help: '' },
    } as const;
    const { options: given, positionals } = readArguments(['--config-p=a', '--config-p', 'b', '-v', 'c', '--', '--d'], options, 2);
    assert.deepEqual(
      [given['config-path'], given.verbose, given['config-directory'], positionals],
      [['a', 'b'], true, undefined, ['c', '--d']],
    );
    for (const args of [['--config', 'x'], ['--nothing'], ['--config-p'], ['surplus'], ['-x'], ['--verbose=yes']])
      assert.throws(() => readArguments(args, options), UsageError);
  });

  test('wrong use ends with 2, help with 0', async () => {
    for (const args of [
      ['nonsense'],
      ['help', 'nonsense'],
      ['--bogus'],
      ['-D'],
      ['--generate-keys'],
      ['--generate-config', '-H', 'a', '--report-stats', 'no'],
      GENERATE.slice(0, 5),
      [...GENERATE.slice(0, 5), '--report-stats=perhaps'],
      ['register-user'],
      ['doctor'],
    ]) {
      const { code, err } = await myelin(args);
      assert.equal(code, 2, args.join(' '));
      assert.match(err, /^myelin: /u);
    }
    assert.match((await myelin(['help'])).out, /register-user[^]*drop-sessions[^]*doctor/u);
    assert.match((await myelin(['-h'])).out, /--config-path FILE/u);
    assert.match((await myelin(['register-user', '--help'])).out, /--shared-secret SECRET/u);
    assert.match((await myelin(['version'])).out, /^Myelin \d/u);
  });

  test('a wrong configuration ends with 1 and all faults', async () => {
    writeFileSync(join(folder, 'hs.yaml'), 'bcrypt_rounds: x\n');
    const { code, err } = await myelin(['-c', 'hs.yaml']);
    assert.equal(code, 1);
    assert.match(err, /4 faults in the configuration stop the start:\n/u);
    for (const name of ['server_name', 'database', 'report_stats', 'bcrypt_rounds']) assert.match(err, new RegExp(`^ .*${name}: `, 'mu'));
    assert.equal((await myelin(['-f', 'x', '-c', 'hs.yaml'])).code, 1);
    assert.equal((await myelin(['--generate-config', '-c', 'new.yaml', '--report-stats=no'])).code, 1);
  });

  test('--generate-config writes what a server needs, and nothing twice', async () => {
    const first = await myelin(GENERATE);
    assert.deepEqual([first.code, first.err], [0, '']);
    assert.deepEqual(readdirSync(folder).toSorted(), ['example.com.log.config', 'example.com.signing.key', 'hs.yaml']);
    assert.equal(statSync(join(folder, 'hs.yaml')).mode & 0o777, 0o600);
    const { config, warnings } = loadConfig({ paths: [join(folder, 'hs.yaml')] });
    assert.deepEqual(warnings, []);
    assert.deepEqual([config.server_name, config.report_stats, config.pid_file], ['example.com', false, join(folder, 'homeserver.pid')]);
    const lengths = [config.registration_shared_secret, config.macaroon_secret_key, config.form_secret].map((secret) => secret?.length);
    assert.deepEqual(lengths, [50, 50, 50]);
    assert.notEqual(config.form_secret, config.macaroon_secret_key);
    const [listener] = config.listeners;
    assert.deepEqual(
      [listener?.port, listener?.bind_addresses, listener?.x_forwarded, listener?.tls],
      [8008, ['::1', '127.0.0.1'], true, false],
    );

    const before = readFileSync(join(folder, 'hs.yaml'), 'utf8');
    rmSync(join(folder, 'example.com.signing.key'));
    const second = await myelin(GENERATE);
    assert.equal(second.code, 0);
    assert.match(second.out, /stays as it is.*\n.*signing key .* was created/u);
    assert.equal(readFileSync(join(folder, 'hs.yaml'), 'utf8'), before);
  });

  test('--generate-keys makes the registration secret as well', async () => {
    writeFileSync(
      join(folder, 'hs.yaml'),
      'server_name: a:8448\nreport_stats: true\ndatabase_path: a.db\nregistration_shared_secret_path: secret\nsigning_key_path: key\n',
    );
    const { code } = await myelin(['-c', 'hs.yaml', '--generate-keys']);
    assert.equal(code, 0);
    const { config } = loadConfig({ paths: [join(folder, 'hs.yaml')] }, { cwd: folder });
    assert.equal(config.registration_shared_secret?.length, 50);
    assert.ok(existsSync(join(folder, 'key')));
  });

  test('first steps: everything in ./data, a token once, the name for good', async () => {
    const { io, out } = fakeIo();
    const path = prepareFirstSteps(undefined, io);
    const { config } = loadConfig({ paths: [path] });
    assert.deepEqual(
      [config.server_name, config.enable_registration, config.registration_requires_token, config.default_room_version],
      ['localhost', true, true, '11'],
    );
    assert.equal(config.database.args.database, join(folder, 'data', 'homeserver.db'));
    const homeserver = {
      urls: ['http://localhost:8008'],
      createRegistrationToken: () => Promise.resolve('aToken'),
      reload: () => Promise.resolve(),
      stop: () => Promise.resolve(),
    };
    await firstSteps(config, io)(homeserver);
    assert.match(out.join('\n'), /http:\/\/localhost:8008[^]*register-user --admin[^]*aToken/u);

    out.length = 0;
    assert.equal(prepareFirstSteps('localhost', io), path);
    await firstSteps(config, io)(homeserver);
    assert.doesNotMatch(out.join('\n'), /aToken/u);
    assert.throws(() => prepareFirstSteps('example.com', io), UsageError);
  });

  test('register-user proves that it knows the secret', async () => {
    const received: Record<string, unknown>[] = [];
    const server: Server = createServer((request, response) => {
      void (async () => {
        if (request.method === 'GET') return response.end('{"nonce":"n0nce"}');
        const body = (await json(request)) as Record<string, unknown>;
        received.push(body);
        if (body['username'] === 'taken')
          return response.writeHead(400).end('{"errcode":"M_USER_IN_USE","error":"User ID already taken."}');
        return response.end(JSON.stringify({ user_id: `@${String(body['username'])}:example.com` }));
      })();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
      await myelin(GENERATE);
      const { config } = loadConfig({ paths: [join(folder, 'hs.yaml')] });
      const made = await myelin(['register-user', '-c', 'hs.yaml', '-u', 'alice', '-p', 'pw', '-a', url]);
      assert.deepEqual([made.code, made.err], [0, '']);
      assert.match(made.out, /@alice:example\.com was registered as an administrator\.$/u);
      const mac = createHmac('sha1', config.registration_shared_secret ?? '')
        .update('n0nce\0alice\0pw\0admin')
        .digest('hex');
      assert.deepEqual(received, [{ nonce: 'n0nce', username: 'alice', password: 'pw', admin: true, mac }]);

      const asked = await myelin(['register-user', '-k', 's', url], ['bob', 'pw', 'pw', 'no']);
      assert.match(asked.out, /@bob:example\.com was registered\.$/u);
      const typed = await myelin(['register-user', '-k', 's', '-u', 'carl', '-p', 'pw', '-t', 'bot', url]);
      assert.equal(typed.code, 0);
      assert.equal(received.at(-1)?.['mac'], createHmac('sha1', 's').update('n0nce\0carl\0pw\0notadmin\0bot').digest('hex'));

      const taken = await myelin(['register-user', '-k', 's', '-u', 'taken', '-p', 'pw', '--no-admin', url]);
      assert.deepEqual([taken.code, taken.err], [1, 'myelin: The server answered 400: User ID already taken.']);
      const mismatch = await myelin(['register-user', '-k', 's', '-u', 'dora', '--no-admin', url], ['one', 'two']);
      assert.deepEqual([mismatch.code, mismatch.err], [1, 'myelin: The passwords do not match.']);
    } finally {
      server.close();
    }
  });

  test('wrong use is said in plain words', async () => {
    await myelin(GENERATE);
    const wrong: readonly (readonly [args: string, message: string])[] = [
      ['nonsense', 'there is no command nonsense'],
      ['-c hs.yaml doctor', 'the command comes first: myelin doctor [OPTIONS]'],
      ['-c hs.yaml register-user -u alice', 'the command comes first: myelin register-user [OPTIONS]'],
      ['register-user -c hs.yaml -u', '-u, --user needs a value'],
      ['register-user -c hs.yaml -x', 'there is no option -x'],
      ['register-user -c hs.yaml --admin=yes', '-a, --admin takes no value'],
      ['register-user -c hs.yaml -p -x', '-p needs a value; one that begins with a dash is written --name=VALUE'],
      ['register-user -c hs.yaml nowhere', 'nowhere is not the URL of a server, such as http://localhost:8008'],
      ['register-user -c hs.yaml -u alice --password=', 'The password must not be empty.'],
      ['list-sessions -c hs.yaml --server ftp://x alice', 'ftp://x is not the URL of a server, such as http://localhost:8008'],
    ];
    for (const [args, message] of wrong) {
      const { code, err } = await myelin(args.split(' '));
      assert.deepEqual([code, err.split('\n')[0]], [2, `myelin: ${message}`], args);
    }
    const nobody = await myelin(['register-user', '-k', 's', '-u', 'alice', '-p', 'pw', '--no-admin', 'http://127.0.0.1:1']);
    assert.deepEqual(
      [nobody.code, nobody.err],
      [1, 'myelin: http://127.0.0.1:1 cannot be reached: nothing listens there. Is the server running?'],
    );
  });

  test('answers are read from a pipe, and its end is no answer', async () => {
    await myelin(GENERATE);
    const piped = (input: string) =>
      spawnSync(join(import.meta.dirname, '../../bin/myelin'), ['hash-password', '-c', 'hs.yaml'], {
        cwd: folder,
        input,
        encoding: 'utf8',
      });
    assert.match(piped('secret\nsecret\n').stdout, /^Password: \nConfirm password: \n\$2b\$/u);
    const ended = piped('secret\n');
    assert.equal(ended.status, 1);
    assert.match(ended.stderr, /^myelin: The input ended where an answer was expected\..*\n$/u);
  });

  test('doctor says in plain words what is wrong', async () => {
    await myelin(GENERATE);
    const well = await myelin(['doctor', '-c', 'hs.yaml']);
    assert.equal(well.code, 0);
    assert.match(well.out, /^ok {5}Configuration: [^]*^ok {5}Signing key: ed25519:a_[^]*^ok {5}Database: /mu);
    writeFileSync(
      join(folder, 'homeserver.db'),
      'this is no database, but it is long enough to look at, and then some more to fill a page header',
    );
    writeFileSync(join(folder, 'example.com.signing.key'), 'nonsense');
    const ill = await myelin(['doctor', '-c', 'hs.yaml']);
    assert.equal(ill.code, 1);
    assert.match(ill.out, /^FAULT {2}Signing key: .*is not written as[^]*^FAULT {2}Database: .*not a database/mu);
  });

  test('hash-password makes hashes that the server accepts', async () => {
    writeFileSync(
      join(folder, 'hs.yaml'),
      'server_name: a\nreport_stats: false\ndatabase_path: a.db\nbcrypt_rounds: 4\npassword_config: {pepper: salt}\n',
    );
    const { code, out } = await myelin(['hash-password', '-c', 'hs.yaml'], ['pässword', 'pässword']);
    assert.equal(code, 0);
    const { default: bcrypt } = await import('bcrypt');
    assert.ok(await bcrypt.compare('pässwordsalt'.normalize('NFKC'), out));
  });
});
