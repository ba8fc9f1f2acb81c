import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import bcrypt from 'bcrypt';
import { MatrixError } from '#src/protocol/errors.ts';
import { createPasswordThreads, createPasswords } from './passwords.ts';

const withPasswords = async (
  options: { pepper?: string; threads?: number; maxWaiting?: number; idleMs?: number },
  run: (passwords: ReturnType<typeof createPasswords>, threads: ReturnType<typeof createPasswordThreads>) => Promise<void>,
): Promise<void> => {
  const { pepper = '', ...rest } = options;
  const threads = createPasswordThreads(rest);
  try {
    await run(createPasswords({ threads, lane: 'test', rounds: 4, pepper }), threads);
  } finally {
    await threads.close();
  }
};

describe('passwords', () => {
  it('verify against their hash, with the pepper, and nothing else does', () =>
    withPasswords({ pepper: 'salty' }, async (passwords) => {
      const hash = await passwords.hash('correct horse');
      assert.match(hash, /^\$2b\$04\$/);
      assert.equal(await passwords.verify('correct horse', hash), true);
      assert.equal(await passwords.verify('Correct horse', hash), false);
      assert.equal(bcrypt.compareSync('correct horsesalty', hash), true);
    }));

  it('are the same however their letters are composed', () =>
    withPasswords({}, async (passwords) => {
      const hash = await passwords.hash('caf\u00e9 \uff21');
      assert.equal(await passwords.verify('cafe\u0301 A', hash), true);
    }));

  it('count 72 bytes, pepper included', () =>
    withPasswords({ pepper: 'p' }, async (passwords) => {
      const hash = await passwords.hash(`${'x'.repeat(71)}yz`);
      assert.equal(await passwords.verify(`${'x'.repeat(71)}y`, hash), true);
      assert.equal(await passwords.verify('x'.repeat(71), hash), false);
      const nul = await passwords.hash('a\u0000b');
      assert.equal(await passwords.verify('a\u0000c', nul), false);
    }));

  it('verify against hashes of other bcrypts', () =>
    withPasswords({}, async (passwords) => {
      const hash = bcrypt.hashSync('secret', 4);
      for (const prefix of ['$2a$', '$2b$', '$2y$'])
        assert.equal(await passwords.verify('secret', `${prefix}${hash.slice(4)}`), true, prefix);
      for (const other of ['', 'secret', '$2x$04$', '$argon2id$v=19$', `${hash}x`])
        assert.equal(await passwords.verify('secret', other), false);
    }));

  it('leave the event loop alone', () =>
    withPasswords({ threads: 1 }, async (passwords) => {
      let turns = 0;
      let isDone = false;
      const work = passwords.hash('x').finally(() => {
        isDone = true;
      });
      while (!isDone) {
        turns += 1;
        await new Promise(setImmediate);
      }
      await work;
      assert.ok(turns > 10, `${turns} turns`);
    }));

  it('of several homeservers take turns', () =>
    withPasswords({ threads: 1 }, async (_, threads) => {
      const order: string[] = [];
      const ask = (lane: string) => threads.run(lane, { kind: 'hash', secret: Buffer.from('x'), rounds: 4 }).then(() => order.push(lane));
      await Promise.all([ask('busy'), ask('busy'), ask('busy'), ask('busy'), ask('quiet')]);
      assert.ok(order.indexOf('quiet') <= 2, order.join());
    }));

  it('are turned away when too many wait', () =>
    withPasswords({ threads: 1, maxWaiting: 2 }, async (passwords, threads) => {
      const running = [passwords.hash('a'), passwords.hash('b'), passwords.hash('c')];
      assert.equal(threads.waiting(), 2);
      await assert.rejects(passwords.hash('d'), (error: unknown) => error instanceof MatrixError && error.status === 429);
      await Promise.all(running);
    }));

  it('survive a thread that ended for want of work, and one that failed', () =>
    withPasswords({ threads: 1, idleMs: 1 }, async (passwords, threads) => {
      await passwords.hash('a');
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.match(await passwords.hash('b'), /^\$2b/);
      await assert.rejects(threads.run('test', { kind: 'hash', secret: undefined as never, rounds: 4 }), /password thread/);
      assert.match(await passwords.hash('c'), /^\$2b/);
    }));

  it('fail when the threads are closed', async () => {
    const threads = createPasswordThreads({ threads: 1 });
    const passwords = createPasswords({ threads, lane: 'test', rounds: 10, pepper: '' });
    const outcomes = Promise.allSettled([passwords.hash('a'), passwords.hash('b'), passwords.hash('c')]);
    await threads.close();
    assert.deepEqual(
      (await outcomes).map((outcome) => outcome.status),
      ['rejected', 'rejected', 'rejected'],
    );
    await assert.rejects(passwords.hash('d'), /closed/);
  });
});
