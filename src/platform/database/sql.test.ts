import assert from 'node:assert/strict';
import { test } from 'node:test';
import { render, sql } from '#src/platform/database/sql.ts';

const inner = (word: string) => sql`SELECT ${word} AS word WHERE 1 ${sql.in([1, 2])}`;
const outer = (words: readonly string[]) => sql`SELECT ${1} FROM (${sql.unionAll(words.map(inner))}) AS w WHERE x = ${2}`;

test('statements are put together, and the same text is the same object', () => {
  assert.deepEqual(render(outer(['a']), 'postgres'), {
    text: 'SELECT $1 FROM (SELECT $2 AS word WHERE 1 = ANY($3)) AS w WHERE x = $4',
    values: [1, 'a', [1, 2], 2],
  });
  assert.deepEqual(render(outer(['a', 'b']), 'sqlite'), {
    text:
      'SELECT ? FROM (SELECT ? AS word WHERE 1 IN (SELECT value FROM json_each(?))' +
      ' UNION ALL SELECT ? AS word WHERE 1 IN (SELECT value FROM json_each(?))) AS w WHERE x = ?',
    values: [1, 'a', '[1,2]', 'b', '[1,2]', 2],
  });
  assert.equal(outer(['a', 'b']).parts, outer(['c', 'd']).parts);
  assert.notEqual(outer(['a', 'b']).parts, outer(['c']).parts);
  assert.equal(render(sql`${sql`SELECT ${1}`}`, 'postgres').text, 'SELECT $1');
  assert.equal(render(sql`a ${sql`b`} c ${sql`d`}`, 'postgres').text, 'a b c d');
});

test('only statements of one form are united', () => {
  assert.throws(() => sql.unionAll([]));
  assert.throws(() => sql.unionAll([sql`SELECT ${1}`, sql`SELECT ${2}`]));
});
