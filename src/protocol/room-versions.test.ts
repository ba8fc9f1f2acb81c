import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import { ROOM_VERSIONS, roomVersion } from '#src/protocol/room-versions.ts';

const idsWhere = (fact: (version: RoomVersion) => boolean): string =>
  [...ROOM_VERSIONS.values()]
    .filter(fact)
    .map(({ id }) => id)
    .join(' ');

describe('the table of room versions', () => {
  it('has the facts of the specification', () => {
    const table: [facts: string, expected: string][] = [
      [idsWhere(() => true), '1 2 3 4 5 6 7 8 9 10 11 12'],
      [idsWhere(({ supported }) => supported), '6 7 8 9 10 11 12'],
      [idsWhere(({ references }) => references === 'pairs'), '1 2'],
      [idsWhere(({ eventIds }) => eventIds === 'base64'), '3'],
      [idsWhere(({ eventIds }) => eventIds === 'url-safe-base64'), '4 5 6 7 8 9 10 11 12'],
      [idsWhere(({ roomIds }) => roomIds === 'create-event'), '12'],
      [idsWhere(({ redactsIn }) => redactsIn === 'content'), '11 12'],
      [idsWhere(({ stateResolution }) => stateResolution === 'v2'), '2 3 4 5 6 7 8 9 10 11'],
      [idsWhere(({ stateResolution }) => stateResolution === 'v2.1'), '12'],
      [idsWhere(({ redactionRules }) => redactionRules === 6), '6 7'],
      [idsWhere(({ redactionRules }) => redactionRules === 8), '8'],
      [idsWhere(({ redactionRules }) => redactionRules === 9), '9 10'],
      [idsWhere(({ strictCanonicalJson }) => strictCanonicalJson), '6 7 8 9 10 11 12'],
      [idsWhere(({ enforcesKeyValidity }) => enforcesKeyValidity), '5 6 7 8 9 10 11 12'],
      [idsWhere(({ strictByteLimits }) => strictByteLimits), '11 12'],
      [idsWhere(({ aliasesRule }) => aliasesRule), '1 2 3 4 5'],
      [idsWhere(({ redactionRule }) => redactionRule), '1 2'],
      [idsWhere(({ knock }) => knock), '7 8 9 10 11 12'],
      [idsWhere(({ restricted }) => restricted), '8 9 10 11 12'],
      [idsWhere(({ knockRestricted }) => knockRestricted), '10 11 12'],
      [idsWhere(({ notificationLevelsRule }) => notificationLevelsRule), '6 7 8 9 10 11 12'],
      [idsWhere(({ powerLevels }) => powerLevels === 'integers'), '10 11 12'],
      [idsWhere(({ powerLevels }) => powerLevels === 'integers-or-strings'), '6 7 8 9'],
      [idsWhere(({ creator }) => creator === 'sender'), '11 12'],
      [idsWhere(({ privilegedCreators }) => privilegedCreators), '12'],
      [idsWhere(({ createInAuthEvents }) => !createInAuthEvents), '12'],
    ];
    for (const [facts, expected] of table) assert.equal(facts, expected);
  });

  it('gives supported versions only', () => {
    assert.equal(roomVersion('11').id, '11');
    for (const id of ['5', '13', 'x', '']) assert.throws(() => roomVersion(id), { errcode: 'M_UNSUPPORTED_ROOM_VERSION', status: 400 });
  });
});
