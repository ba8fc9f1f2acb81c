import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { testClock, testLogging } from '#src/platform/http/testing.ts';
import { LogConfigError, createLogging, currentUsage, newUsage, withLogContext } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'myelin-logging-'));
after(() => rmSync(folder, { recursive: true }));

let files = 0;
const newFile = (): string => join(folder, `file${(files += 1)}`, 'homeserver.log');

/** Synapse's own sample, but for the file's name. */
const sample = (file: string, rest = ''): string => `
version: 1
formatters:
    precise:
        format: '%(asctime)s - %(name)s - %(lineno)d - %(levelname)s - %(request)s - %(message)s'
handlers:
    file:
        class: logging.handlers.TimedRotatingFileHandler
        formatter: precise
        filename: ${file}
        when: midnight
        backupCount: 3
        encoding: utf8
    buffer:
        class: synapse.logging.handlers.PeriodicallyFlushingMemoryHandler
        target: file
        capacity: 10
        flushLevel: 30
        period: 5
    console:
        class: logging.StreamHandler
        formatter: precise
loggers:
    synapse.storage.SQL:
        level: INFO
    synapse.access:
        level: WARNING
${rest}
root:
    level: INFO
    handlers: [buffer]
disable_existing_loggers: false
`;

const linesOf = (file: string): string[] => readFileSync(file, 'utf8').trimEnd().split('\n');

describe('log_config', () => {
  it('Synapse’s sample writes its lines into its file', async () => {
    const file = newFile();
    const logging = createLogging({ clock: testClock(), yaml: sample(file) });
    const logger = logging.named('synapse.rooms');
    withLogContext({ request: 'GET-7' }, () => logger.info({ roomNum: 5 }, 'Made a room'));
    logger.debug('not wanted');
    logging.named('synapse.access.http.8008').info('not wanted either');
    logging.named('synapse.access.http.8008').warn('but this');
    await logging.close();
    const [first = '', second = '', ...rest] = linesOf(file);
    assert.match(first, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,000 - synapse\.rooms - 0 - INFO - GET-7 - Made a room roomNum=5$/);
    assert.match(second, / - synapse\.access\.http\.8008 - 0 - WARNING - sentinel - but this$/);
    assert.deepEqual(rest, []);
  });

  it('JSON formatters write one object a line, with the request’s fields', async () => {
    const file = newFile();
    const yaml = `
version: 1
formatters: {j: {class: synapse.logging.TerseJsonFormatter}}
handlers: {f: {class: logging.FileHandler, formatter: j, filename: ${file}}}
root: {level: DEBUG, handlers: [f]}`;
    const logging = createLogging({ clock: testClock(1_700_000_000_120), yaml });
    const context = { request: 'PUT-1', describe: () => ({ ip_address: '::1', requester: '@a:b' }) };
    withLogContext(context, () => logging.named('synapse.x').error({ err: new TypeError('broken'), size: 12n, text: 'a\nb' }, 'Oh'));
    await logging.close();
    const { exc_stack: stack, ...line } = JSON.parse(linesOf(file).join('\n')) as Record<string, unknown>;
    assert.match(String(stack), /^TypeError: broken\n/);
    assert.deepEqual(line, {
      log: 'Oh',
      namespace: 'synapse.x',
      level: 'ERROR',
      time: 1_700_000_000.12,
      request: 'PUT-1',
      ip_address: '::1',
      requester: '@a:b',
      size: '12',
      text: 'a\nb',
      exc_type: 'TypeError',
      exc_value: 'broken',
    });
  });

  it('loggers have handlers of their own and need not pass on', async () => {
    const [all, own] = [newFile(), newFile()];
    const yaml = `
version: 1
handlers:
  all: {class: logging.FileHandler, filename: ${all}}
  own: {class: logging.FileHandler, filename: ${own}, level: ERROR}
loggers:
  a: {handlers: [own], level: DEBUG}
  b: {handlers: [own], propagate: false}
root: {level: INFO, handlers: [all]}`;
    const logging = createLogging({ clock: testClock(), yaml });
    logging.named('a.inner').debug('a debug');
    logging.named('a').error('a error');
    logging.named('b').error('b error');
    logging.named('c').debug('c debug');
    await logging.close();
    assert.deepEqual(
      [linesOf(all), linesOf(own)],
      [
        ['a debug', 'a error'],
        ['a error', 'b error'],
      ],
    );
  });

  it('files are put aside at midnight, or when they are full, and the oldest go', async () => {
    const clock = testClock();
    const [timed, sized] = [newFile(), newFile()];
    const yaml = `
version: 1
handlers:
  t: {class: logging.handlers.TimedRotatingFileHandler, filename: ${timed}, when: midnight, backupCount: 2}
  s: {class: logging.handlers.RotatingFileHandler, filename: ${sized}, maxBytes: 10, backupCount: 1}
root: {level: INFO, handlers: [t, s]}`;
    const logging = createLogging({ clock, yaml });
    for (const day of ['day1', 'day2', 'day3', 'day4']) {
      logging.named('x').info(day);
      logging.named('x').info(day);
      logging.flush();
      clock.advance(86_400_000);
    }
    await logging.close();
    assert.deepEqual(readdirSync(join(timed, '..')).sort(), ['homeserver.log', 'homeserver.log.1', 'homeserver.log.2']);
    assert.deepEqual(linesOf(timed), ['day4', 'day4']);
    assert.deepEqual(linesOf(`${timed}.2`), ['day2', 'day2']);
    assert.deepEqual(readdirSync(join(sized, '..')).sort(), ['homeserver.log', 'homeserver.log.1']);
    assert.deepEqual(linesOf(`${sized}.1`), ['day3', 'day3']);
  });

  it('lines go to a collector over TCP', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const yaml = `
version: 1
handlers: {r: {class: synapse.logging.RemoteHandler, host: 127.0.0.1, port: ${port}}}
root: {level: INFO, handlers: [r]}`;
    const logging = createLogging({ clock: testClock(), yaml });
    logging.named('x').info('over the wire');
    const [socket] = (await once(server, 'connection')) as [Socket];
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    assert.equal(chunk.toString(), 'over the wire\n');
    await logging.close();
    socket.destroy();
    server.close();
  });

  it('reloading changes levels of loggers that are in use', async () => {
    const file = newFile();
    const logging = createLogging({ clock: testClock(), yaml: sample(file) });
    const logger = logging.named('synapse.rooms');
    logger.debug('one');
    logging.reload(sample(file, '    synapse.rooms: {level: DEBUG}'));
    logger.debug('two');
    assert.throws(() => logging.reload('root: {handlers: [nobody]}'), LogConfigError);
    logger.debug('three');
    logging.reload(sample(file, '    synapse.rooms: {level: ERROR}'));
    logger.debug('four');
    await logging.close();
    assert.deepEqual(
      linesOf(file).map((line) => line.split(' ').at(-1)),
      ['two', 'three'],
    );
  });

  it('what is not known warns; what cannot be used says where', async () => {
    const file = newFile();
    const yaml = `
version: 1
surprise: 1
formatters: {f: {class: other.Formatter2}}
handlers: {f: {class: logging.FileHandler, filename: ${file}, formatter: f}}
root: {level: INFO, handlers: [f]}`;
    const logging = createLogging({ clock: testClock(), yaml });
    await logging.close();
    const text = readFileSync(file, 'utf8');
    assert.match(text, /log_config: surprise is not known/);
    assert.match(text, /log_config: formatters\.f: other\.Formatter2 is not known/);
    for (const [bad, where] of [
      [`handlers: {x: {class: logging.FileHandler, filename: ${folder}}}`, 'handlers.x: cannot write to'],
      ['root: {level: LOUD}', 'root.level: "LOUD" is no level'],
      ['root: {handlers: [x]}', 'root.handlers: "x" names no handler'],
      ['handlers: {x: {class: logging.FileHandler}}', 'handlers.x: filename is missing'],
      ['handlers: {x: {class: logging.StreamHandler, formatter: y}}', 'handlers.x.formatter: "y" names no formatter'],
      ['handlers: {x: {class: MemoryHandler, target: x}}', 'handlers.x: target names no handler'],
      ['structured: true', '"structured" was removed'],
      ['[1]', 'a dictionary is expected'],
      ['{', 'not YAML'],
    ] as const) {
      assert.throws(
        () => createLogging({ clock: testClock(), yaml: bad }),
        (error: unknown) => error instanceof LogConfigError && error.message.startsWith(where),
        bad,
      );
    }
  });
});

describe('log lines', () => {
  it('stay one line, whatever a client puts into them', () => {
    const logging = testLogging(testClock());
    logging.named('x').info({ name: 'a\r\nb' }, 'evil\nline');
    assert.equal(logging.lines.length, 1);
    assert.match(logging.lines[0] ?? '', / - x - .* - evil\\nline name=a\\r\\nb$/);
  });

  it('have the bindings of child loggers, and the stacks of errors and their causes', () => {
    const logging = testLogging(testClock());
    const child = logging.named('x').child({ room: '!a:b' });
    child.warn(new Error('outer', { cause: new Error('inner') }));
    assert.match(logging.lines[0] ?? '', /WARNING - sentinel - outer room=!a:b\nError: outer\n[^]*\ncaused by Error: inner\n/);
  });

  it('belong to their work across awaits, and so does what it used', async () => {
    const logging = testLogging(testClock());
    const usage = newUsage();
    const work = async (name: string): Promise<void> => {
      await new Promise(setImmediate);
      logging.named('x').info(name);
      const counted = currentUsage();
      if (counted !== undefined) counted.transactions += 1;
    };
    await Promise.all([
      withLogContext({ request: 'GET-1', usage }, () => work('one')),
      withLogContext({ request: 'GET-2' }, () => work('two')),
    ]);
    assert.match(logging.lines[0] ?? '', / - GET-1 - one$/);
    assert.match(logging.lines[1] ?? '', / - GET-2 - two$/);
    assert.equal(usage.transactions, 1);
  });
});
