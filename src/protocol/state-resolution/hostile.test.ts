import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stateKeyText } from '#src/protocol/auth-rules/index.ts';
import { type Pdu } from '#src/protocol/events.ts';
import { ALICE, at, BOB, createTestRoom, type State, type TestRoom } from '#src/protocol/state-resolution/test-room.ts';

const [TOPIC, LEVELS] = ['m.room.topic', 'm.room.power_levels'] as const;

/** The same event with other auth events, as a peer can make them where it chooses the ids. */
const recite = (room: TestRoom, eventId: string, authEvents: readonly string[]): void => {
  const event = room.events.get(eventId)!;
  (room.events as Map<string, unknown>).set(eventId, { ...event, pdu: { ...event.pdu, auth_events: authEvents } satisfies Pdu });
};

describe('state resolution of what a hostile peer sends', () => {
  for (const id of ['1', '2', '12']) {
    it(`v${id}: auth events in a circle end the walk and have no place in the order`, async () => {
      const room = createTestRoom(id);
      const bobs = room.add(room.start, 'bobs', ALICE, LEVELS, '', { users: { [BOB]: 50 } });
      const one = room.add(bobs, 'one', ALICE, TOPIC, '', {});
      const two = room.add(room.start, 'two', ALICE, TOPIC, '', {});
      recite(room, '$levels', ['$create', '$alice', '$bobs']);
      recite(room, '$bobs', ['$create', '$bob', '$levels']);
      const resolved = await room.resolve(one, two);
      assert.ok(at(resolved, TOPIC) === '$one' || at(resolved, TOPIC) === '$two');
    });

    it(`v${id}: an auth event that nobody has is as if it were not cited`, async () => {
      const room = createTestRoom(id);
      const one = room.add(room.start, 'one', ALICE, TOPIC, '', {});
      const two = room.add(room.start, 'two', ALICE, TOPIC, '', {});
      recite(room, '$two', ['$create', '$levels', '$alice', '$lost'].slice(id === '12' ? 1 : 0));
      // The auth difference names what cannot be loaded; it is left out, as Synapse does.
      assert.equal(at(await room.resolve(one, two), TOPIC), id === '1' ? at(await room.resolve(two, one), TOPIC) : '$two');
    });

    it(`v${id}: prototype names are state keys like others`, async () => {
      const room = createTestRoom(id);
      const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
      let one = room.start;
      for (const name of names) one = room.add(one, `one-${name}`, ALICE, name, name, {});
      const resolved = await room.resolve(one, room.start);
      assert.deepEqual(
        names.map((name) => at(resolved, name, name)),
        names.map((name) => `$one-${name}`),
      );
    });

    it(`v${id}: thousands of conflicted keys and a long chain of power levels end`, async () => {
      const room = createTestRoom(id);
      const fork = (branch: string): State => {
        let state = room.start;
        for (let count = 0; count < 300; count += 1) {
          state = room.add(state, `${branch}-levels-${count}`, ALICE, LEVELS, '', {
            users: { [BOB]: 50, ...(id === '12' ? {} : { [ALICE]: 100 }) },
            kick: count % 50,
          });
        }
        const topics = Array.from({ length: 2000 }, (_, count): [string, string] => {
          const added = room.add(state, `${branch}-${count}`, BOB, TOPIC, `${count}`, {});
          return [stateKeyText(TOPIC, `${count}`), added.get(stateKeyText(TOPIC, `${count}`))!];
        });
        return new Map([...state, ...topics]);
      };
      const resolved = await room.resolve(fork('a'), fork('b'));
      assert.equal(at(resolved, LEVELS), '$b-levels-299');
      assert.equal(resolved.size, room.start.size + 2000);
    });
  }
});
