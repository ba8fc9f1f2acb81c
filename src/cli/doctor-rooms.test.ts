import assert from 'node:assert/strict';
import { checkRooms, DAMAGED, type RoomsRequest } from '#src/cli/doctor-rooms.ts';
import { testConfig } from '#src/platform/config/index.ts';
import { DatabaseError } from '#src/platform/database/errors.ts';
import { sql } from '#src/platform/database/sql.ts';
import { withBothDatabases } from '#test/support/databases.ts';

withBothDatabases('the doctor says what is wrong, then how it is mended, then mends it', async (_t, open) => {
  const database = await open();
  await database.write('damage', async (tx) => {
    await tx.run(sql`INSERT INTO room_heads (room_num, forward_extremities, current_root) VALUES (99999, '[]', '')`);
  });
  const config = testConfig({
    database: open.config,
    signing_key: `ed25519 a_test ${Buffer.alloc(32, 1).toString('base64').replaceAll('=', '')}`,
  });
  const check = async (mode: RoomsRequest['mode'], asJson = false): Promise<{ code: number; out: string[] }> => {
    const out: string[] = [];
    const ask = (): Promise<string> => Promise.resolve('');
    const io = { cwd: '/', env: {}, print: (line: string) => out.push(line), complain: () => undefined, ask, askSecret: ask };
    return { code: await checkRooms(config, { roomIds: undefined, asJson, mode }, io), out };
  };
  const damage = 'The table room_heads has rows of room number 99999, which does not exist.';
  const wrong = '1 thing is wrong; rooms that are not named here are sound. Keep a copy of the database as it is.';
  // As long as somebody else writes, it may be looked at but not mended.
  assert.deepEqual(await check('look'), {
    code: DAMAGED,
    out: [`DAMAGE ${damage}`, wrong, '1 of them can be put right: stop the server and run this with --repair (--dry-run says how).'],
  });
  assert.deepEqual(await check('dry-run'), {
    code: DAMAGED,
    out: [
      `DAMAGE ${damage}`,
      '       would be repaired: The rows are deleted.',
      wrong,
      '1 of them can be put right: stop the server and run this with --repair.',
    ],
  });
  const [line = ''] = (await check('look', true)).out;
  assert.deepEqual(JSON.parse(line), { check: 'orphans', sentence: damage, repair: 'The rows are deleted.', repaired: false });
  await assert.rejects(check('repair'), DatabaseError);
  await database.close();
  assert.deepEqual(await check('repair'), {
    code: 0,
    out: [`MENDED ${damage}`, '       The rows are deleted.', '1 thing was put right.', 'ok     Rooms: nothing is wrong any more'],
  });
  assert.deepEqual(await check('look'), { code: 0, out: ['ok     Rooms: nothing is wrong'] });
});
