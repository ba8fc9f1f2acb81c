import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RoomVersion } from '#src/protocol/room-versions.ts';
import { ROOM_VERSIONS, roomVersion } from '#src/protocol/room-versions.ts';

const idsWhere = (fact: (version: RoomVersion) => boolean): string =>
  [...ROOM_VERSIONS.values()]
    .filter((version) => version.stable && fact(version))
    .map(({ id }) => id)
    .join(' ');

describe('the table of room versions', () => {
  it('has the facts of the specification', () => {
    const table: [facts: string, expected: string][] = [
      [idsWhere(() => true), '1 2 3 4 5 6 7 8 9 10 11 12'],
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

  it('has the unstable versions of Synapse, each a stable one with its own facts', () => {
    const unstable = [...ROOM_VERSIONS.values()].filter(({ stable }) => !stable).map(({ id }) => id);
    assert.deepEqual(unstable, ['org.matrix.msc3757.10', 'org.matrix.msc3757.11', 'org.matrix.hydra.11']);
    const changes = { stable: false, suffixedStateKeys: true };
    assert.deepEqual(roomVersion('org.matrix.msc3757.10'), { ...roomVersion('10'), ...changes, id: 'org.matrix.msc3757.10' });
    assert.deepEqual(roomVersion('org.matrix.msc3757.11'), { ...roomVersion('11'), ...changes, id: 'org.matrix.msc3757.11' });
    assert.deepEqual(roomVersion('org.matrix.hydra.11'), { ...roomVersion('12'), stable: false, id: 'org.matrix.hydra.11' });
  });

  it('gives known versions only', () => {
    assert.equal(roomVersion('11').id, '11');
    for (const id of ['0', '13', 'x', '']) assert.throws(() => roomVersion(id), { errcode: 'M_UNSUPPORTED_ROOM_VERSION', status: 400 });
  });
});
