import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fits, parseTerm } from '#src/search/terms.ts';

const cases = [
  ['"red fox"', 'the red fox runs', true],
  ['"red fox"', 'a fox, red as fire', false],
  ['"red fox"', 'the Red FOXES run', true],
  ['fox -red', 'a brown fox', true],
  ['fox -red', 'a red fox', false],
  ['fox -red', 'a fox on Redwood street', false],
  ['fox -"red fox"', 'a fox on a red roof', true],
  ['fox -"red fox"', 'a red fox', false],
  ['e-mail', 'send mail to e', true],
  ['"e-mail"', 'send an e-mail', true],
  ['"e-mail"', 'mail to e', false],
  ['fox -1', 'fox 10', true],
  ['fox -1', 'fox 1', false],
  ['"東京都"', '東京都に行く', true],
  ['"東京都"', '東京から京都へ', false],
  ['"ข้าวผัด"', 'กินข้าวผัด', true],
  ['- fox', 'fox', true],
  ['""', 'fox', true],
] as const;

test('phrases and what must not be there', () => {
  for (const [term, text, expected] of cases) assert.equal(fits(text, parseTerm(term)), expected, `${term} in ${text}`);
});

test('which words begin no others', () => {
  assert.deepEqual(parseTerm('it is in 2024 für Köln 학교 本').whole, ['it', 'is', 'in', '2024']);
  assert.deepEqual(parseTerm('-x -y').words, []);
  assert.deepEqual(parseTerm('a "b c" -d').words, ['a', 'b', 'c']);
  assert.equal(parseTerm('-x '.repeat(1000)).without.length, 10);
});
