import assert from 'node:assert/strict';
import { createStrings } from '#src/platform/database/strings.ts';
import { withBothDatabases } from '../../../test/support/databases.ts';

withBothDatabases('texts get one number each, for ever', async (_t, open) => {
  const database = await open();
  const strings = createStrings(database);
  const texts = ['@alice:test', '', 'm.room.member', '@alice:test', 'ü\u{1F600}', `'"\\{}`];
  const [nums, same] = await Promise.all([strings.intern(texts), strings.intern(texts)]);
  assert.deepEqual(nums, same, 'two at once agree');
  assert.equal(new Set(nums.values()).size, 5);
  assert.deepEqual(await createStrings(database).intern(texts), nums, 'so does one with nothing in memory');
  for (const text of texts) assert.equal(await createStrings(database).numOf(text), nums.get(text));
  assert.equal(await strings.numOf('unknown'), undefined);
  const back = await createStrings(database).textOf([...nums.values(), 999_999]);
  assert.deepEqual(new Set(back.values()), new Set(texts));
});

withBothDatabases('texts that PostgreSQL cannot hold are kept all the same', async (_t, open) => {
  const database = await open();
  const texts = ['a\0b', 'a\uFFFE0b', '\uFFFE', '\0\uFFFE1', 'a0b'];
  const nums = await createStrings(database).intern(texts);
  assert.equal(new Set(nums.values()).size, texts.length);
  const back = await createStrings(database).textOf([...nums.values()]);
  for (const [text, num] of nums) assert.equal(back.get(num), text);
  const lone = await createStrings(database).intern(['\uD800']);
  assert.deepEqual(await createStrings(database).intern(['\uFFFD']), new Map([['\uFFFD', lone.get('\uD800')]]));
});

withBothDatabases('many texts at once, and a memory smaller than they are', async (_t, open) => {
  const strings = createStrings(await open(), 100);
  const texts = Array.from({ length: 2500 }, (_, index) => `@user${String(index)}:test`);
  const nums = await strings.intern(texts);
  assert.equal(nums.size, 2500);
  const back = await strings.textOf([...nums.values()]);
  for (const [text, num] of nums) assert.equal(back.get(num), text);
  const known = texts.filter((text) => strings.peekNum(text) !== undefined);
  assert.equal(known.length, 100);
  assert.ok(known.every((text) => strings.peekText(nums.get(text) ?? 0) === text || strings.peekText(nums.get(text) ?? 0) === undefined));
});
