import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newAliases } from '#src/rooms/messaging/canonical-alias.ts';

test('only aliases that were not named before have to be shown', () => {
  const before = { alias: '#a:x', alt_aliases: ['#b:x'] };
  assert.deepEqual(newAliases({ alias: '#a:x', alt_aliases: ['#b:x', '#c:x'] }, before), ['#c:x']);
  assert.deepEqual(newAliases({ alias: '#b:x' }, before), ['#b:x']);
  assert.deepEqual(newAliases({}, before), []);
  assert.deepEqual(newAliases({ alias: '#a:x', alt_aliases: ['#a:x'] }, undefined), ['#a:x']);
});

test('content of the wrong form is refused', () => {
  assert.throws(() => newAliases({ alias: 5 }, undefined), { errcode: 'M_INVALID_PARAM' });
  assert.throws(() => newAliases({ alt_aliases: '#a:x' }, undefined), { errcode: 'M_INVALID_PARAM' });
  assert.throws(() => newAliases({ alt_aliases: [5] }, undefined), { errcode: 'M_INVALID_PARAM' });
  assert.deepEqual(newAliases({ alt_aliases: ['#a:x'] }, { alt_aliases: 'nonsense' }), ['#a:x']);
});

test('a new alias must have the form of one; what stands there already need not', () => {
  assert.throws(() => newAliases({ alias: '%a:x' }, undefined), { errcode: 'M_INVALID_PARAM' });
  assert.throws(() => newAliases({ alias: '#a:x', alt_aliases: ['%b:x'] }, undefined), { errcode: 'M_INVALID_PARAM' });
  assert.deepEqual(newAliases({ alias: '%a:x', alt_aliases: ['#b:x'] }, { alias: '%a:x' }), ['#b:x']);
});
