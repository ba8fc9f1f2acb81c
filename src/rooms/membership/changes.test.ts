import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RoomEvent } from '#src/rooms/graph/index.ts';
import { checkKick, checkStep, isSaid, memberContent } from '#src/rooms/membership/changes.ts';

const ALICE = '@alice:example.org';
const profile = { displayname: 'Alice', avatarUrl: 'mxc://example.org/a' };
const usual = { profile, perRoomProfiles: true, isGuest: false };

test('a member event carries the profile where the client says nothing else', () => {
  assert.deepEqual(memberContent({ target: ALICE, action: 'join' }, usual), {
    membership: 'join',
    displayname: 'Alice',
    avatar_url: 'mxc://example.org/a',
  });
  const content = { membership: 'ban', displayname: 'Al', join_authorised_via_users_server: '@x:y', reason: 'why' };
  assert.deepEqual(memberContent({ target: ALICE, action: 'join', content }, usual), {
    membership: 'join',
    displayname: 'Al',
    avatar_url: 'mxc://example.org/a',
    reason: 'why',
  });
  assert.equal(memberContent({ target: ALICE, action: 'join', content }, { ...usual, perRoomProfiles: false }).displayname, 'Alice');
  assert.equal(memberContent({ target: ALICE, action: 'join' }, { ...usual, isGuest: true }).kind, 'guest');
  assert.deepEqual(memberContent({ target: ALICE, action: 'kick' }, { ...usual, profile: undefined }), { membership: 'leave' });
});

test('names and avatars have a limit', () => {
  const withName = (displayname: string) => ({ target: ALICE, action: 'join', content: { displayname } }) as const;
  assert.throws(() => memberContent(withName('x'.repeat(257)), usual), { errcode: 'M_BAD_JSON' });
  assert.doesNotThrow(() => memberContent(withName('x'.repeat(256)), usual));
});

test('only who is banned is unbanned, and who is banned comes back no other way', () => {
  assert.throws(() => checkStep('unban', 'leave'), { errcode: 'M_BAD_STATE' });
  assert.throws(() => checkStep('unban', undefined), { errcode: 'M_BAD_STATE' });
  assert.throws(() => checkStep('join', 'ban'), { errcode: 'M_BAD_STATE' });
  assert.throws(() => checkStep('invite', 'ban'), { errcode: 'M_BAD_STATE' });
  assert.doesNotThrow(() => checkStep('unban', 'ban'));
  assert.doesNotThrow(() => checkStep('leave', 'ban'));
  assert.throws(() => checkKick('kick', 'leave'), { errcode: 'M_FORBIDDEN' });
  assert.throws(() => checkKick('kick', undefined), { errcode: 'M_FORBIDDEN' });
  assert.doesNotThrow(() => checkKick('kick', 'invite'));
});

test('a member event says what it says, whoever authorised it', () => {
  const event = (content: object, redactedBy?: number) => ({ pdu: { sender: ALICE, content }, redactedBy }) as unknown as RoomEvent;
  const joined = { displayname: 'Alice', membership: 'join' };
  assert.equal(isSaid(event({ membership: 'join', displayname: 'Alice', join_authorised_via_users_server: '@b:x' }), ALICE, joined), true);
  assert.equal(isSaid(event({ membership: 'join', displayname: 'Al' }), ALICE, joined), false);
  assert.equal(isSaid(event(joined), '@bob:example.org', joined), false);
  assert.equal(isSaid(event(joined, 7), ALICE, joined), false);
  assert.equal(isSaid(undefined, ALICE, joined), false);
});
