import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pickFields, splitField } from '#src/sync/v3/event-fields.ts';

test('fields are split at dots that are not escaped', () => {
  assert.deepEqual(splitField('content.body'), ['content', 'body']);
  assert.deepEqual(splitField(String.raw`content.m\.relates_to.a\\b`), ['content', 'm.relates_to', String.raw`a\b`]);
});

test('only the named fields stay', () => {
  const event = JSON.stringify({ type: 'm', content: { body: 'x', 'a.b': { c: 1, d: 2 }, e: 3 }, sender: '@a:x' });
  const picked = (...fields: string[]): unknown => JSON.parse(pickFields(event, fields));
  assert.deepEqual(picked('type', 'content.body', String.raw`content.a\.b.c`, 'missing', 'sender.x', 'content.nothing.y'), {
    type: 'm',
    content: { body: 'x', 'a.b': { c: 1 } },
  });
  assert.deepEqual(picked('content'), { content: { body: 'x', 'a.b': { c: 1, d: 2 }, e: 3 } });
  assert.deepEqual(picked('toString', '__proto__.x'), {});
});
