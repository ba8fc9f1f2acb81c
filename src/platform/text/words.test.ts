import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasDense, matchesIn, termsOf, wordsOf } from '#src/platform/text/words.ts';

const folded = (text: string): string[] => wordsOf(text).map((word) => word.folded);
/** Whether somebody who looks for one text finds the other. */
const finds = (term: string, text: string): boolean => {
  const terms = termsOf(term);
  return terms.words.length > 0 && terms.words.every((word) => folded(text).some((each) => each.startsWith(word))) && hasDense(text, terms);
};

test('case, accents and width do not count', () => {
  assert.deepEqual(folded('Die Straße nach MÜNCHEN, bitte!'), ['die', 'strasse', 'nach', 'munchen', 'bitte']);
  assert.deepEqual(folded('İstanbul ISPARTA ılık iyi'), ['istanbul', 'isparta', 'ilik', 'iyi']);
  assert.deepEqual(folded("l'été Øresund Łódź"), ['l', 'ete', 'oresund', 'lodz']);
  assert.deepEqual(folded('ＦＵＬＬ ｶﾞ ﬁne'), ['full', 'ガ', 'fine']);
  assert.deepEqual(folded('ΟΔΟΣ οδός'), ['οδοσ', 'οδοσ']);
  assert.deepEqual(folded('مُحَمَّد'), ['محمد']);
  assert.deepEqual(folded('e\u0301t\u00E9'), ['ete']);
});

test('a word stands as it was written', () => {
  assert.deepEqual(wordsOf('Größe X'), [
    { folded: 'grosse', written: 'größe' },
    { folded: 'x', written: 'x' },
  ]);
});

test('languages without spaces', () => {
  assert.deepEqual(folded('東京都に'), ['東京', '京都', '都に', 'に']);
  assert.deepEqual(folded('ข้าวผัด'), ['ข้าว', 'ผัด']);
  for (const [term, text] of [
    ['人民', '中华人民共和国成立于1949年'],
    ['共和国', '中华人民共和国成立于1949年'],
    ['国', '中华人民共和国'],
    ['猫', '昨日は猫を見た'],
    ['コンピューター', '新しいコンピューターを買った'],
    ['ข้าวผัด', 'ผมชอบกินข้าวผัดมากที่สุดในโลก'],
    ['ชอบ', 'ผมชอบกินข้าวผัดมากที่สุดในโลก'],
    ['น้ำ', 'ขอน้ำเปล่าหนึ่งแก้ว'],
    ['학교', '나는 학교에 간다'],
    ['1949', '中华人民共和国成立于1949年'],
  ] as const)
    assert.ok(finds(term, text), `${term} in ${text}`);
  assert.ok(!finds('東京都', '東京から京都へ'), 'the pairs stand apart');
  assert.ok(!finds('犬', '昨日は猫を見た'));
});

test('emoji are words, whatever their skin', () => {
  assert.deepEqual(folded('Well done 👍🏽🎉 ❤️'), ['well', 'done', '👍', '🎉', '❤']);
  assert.ok(finds('👍', 'ok 👍🏿'));
  assert.ok(finds('🇩🇪', 'go 🇩🇪!'));
  assert.ok(!finds('🇩🇪', 'go 🇫🇷!'));
});

test('terms are bounded, and nothing in a text can break them', () => {
  assert.equal(termsOf(Array.from({ length: 50 }, (_, index) => `w${String(index)}`).join(' ')).words.length, 10);
  assert.deepEqual(termsOf(' "; -- \' % * ').words, []);
  assert.deepEqual(termsOf('a\0b \uD800 c').words, ['a', 'b', 'c']);
  assert.equal(folded('x'.repeat(1000))[0]?.length, 64);
});

test('what fits is told as it is written', () => {
  const marked = (term: string, text: string): string[] => [...matchesIn(text, termsOf(term))];
  assert.deepEqual(marked('große KATZE', 'Zwei Große Katzen, grosse Hunde'), ['große', 'katzen', 'grosse']);
  assert.deepEqual(marked('東京都', '東京都は東京'), ['東京都']);
  assert.deepEqual(marked('都', '東京都は'), ['都']);
  assert.deepEqual(marked('ข้าวผัด', 'กินข้าวผัด'), ['ข้าว', 'ผัด']);
  assert.deepEqual(marked('👍', 'ok 👍🏿'), ['👍🏿']);
});
