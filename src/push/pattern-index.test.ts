import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { globMatchesWords } from '#src/protocol/glob.ts';
import { matchesCondition } from '#src/protocol/push-conditions.ts';
import { powerLevels } from '#src/protocol/power-levels.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import { type Anchor, anchorOfGlob, anchorOfName, wordsOf } from '#src/push/anchors.ts';
import { PatternIndex } from '#src/push/pattern-index.ts';

const letters = fc.string({
  unit: fc.constantFrom('a', 'B', 'b', 'c', '_', '7', ' ', '-', '.', 'é', 'Σ', 'ж', 'K', '日', 'İ', '😀'),
  maxLength: 12,
});
const globs = fc.string({ unit: fc.constantFrom('a', 'B', 'b', '*', '?', ' ', '-', 'Σ', 'ж', '日', '😀'), maxLength: 6 });

const finds = (anchor: Anchor, text: string): boolean => {
  const index = new PatternIndex();
  index.add(anchor, 1);
  const found = new Set<number>();
  const lower = text.toLowerCase();
  index.find('@sender:x', lower, wordsOf(lower), found);
  return found.has(1);
};

test('whatever a pattern matches has its anchor', () => {
  fc.assert(
    fc.property(globs, letters, (pattern, text) => {
      const anchor = anchorOfGlob(pattern);
      if (anchor !== undefined && globMatchesWords(pattern, text)) assert.ok(finds(anchor, text));
    }),
    { numRuns: 20_000 },
  );
});

test('whatever contains a display name has its anchor', () => {
  const levels = powerLevels(undefined, undefined, roomVersion('11'));
  fc.assert(
    fc.property(letters, letters, letters, (before, displayName, after) => {
      const body = before + displayName + after;
      const event = { type: 'm.room.message', sender: '@a:x', event_id: '$e', origin_server_ts: 0, content: { body } };
      const anchor = anchorOfName(displayName);
      const contained = matchesCondition({ kind: 'contains_display_name' }, event, { memberCount: 2, displayName, levels });
      if (contained) assert.ok(anchor !== undefined && finds(anchor, body));
    }),
    { numRuns: 20_000 },
  );
});

test('anchors are as rare as the pattern allows', () => {
  assert.deepEqual(anchorOfGlob('Tea*time for BISCUITS'), { kind: 'word', word: 'biscuits' });
  assert.deepEqual(anchorOfGlob('tea*'), { kind: 'text', text: 'tea' });
  assert.deepEqual(anchorOfGlob('c++'), { kind: 'word', word: 'c' });
  assert.deepEqual(anchorOfGlob('Чай'), { kind: 'text', text: 'чай' });
  assert.equal(anchorOfGlob('*?'), undefined);
  assert.deepEqual(anchorOfName('**'), { kind: 'text', text: '**' });
  assert.equal(anchorOfName(''), undefined);
});

test('what is taken out is not found any more, and what shares its key still is', () => {
  const index = new PatternIndex();
  const anchors: Anchor[] = [
    { kind: 'word', word: 'tea' },
    { kind: 'text', text: 'чайник' },
    { kind: 'text', text: 'чай' },
    { kind: 'sender', sender: '@a:x' },
  ];
  const find = (): number[] => {
    const found = new Set<number>();
    index.find('@a:x', 'tea чайник', wordsOf('tea чайник'), found);
    return [...found].sort();
  };
  anchors.forEach((anchor, at) => {
    index.add(anchor, at);
    index.add(anchor, 10 + at);
  });
  assert.deepEqual(find(), [0, 1, 10, 11, 12, 13, 2, 3]);
  anchors.forEach((anchor, at) => index.remove(anchor, 10 + at));
  assert.deepEqual(find(), [0, 1, 2, 3]);
  anchors.forEach((anchor, at) => index.remove(anchor, at));
  assert.deepEqual(find(), []);
});
