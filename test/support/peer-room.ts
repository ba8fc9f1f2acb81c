import { authTypesFor, stateKeyText } from '#src/protocol/auth-rules/index.ts';
import { buildPdu, type EncodedEvent, type NewPdu, referencesTo, templatePdu, type UnsignedPdu } from '#src/protocol/events.ts';
import { roomVersion } from '#src/protocol/room-versions.ts';
import type { NewEvent } from '#src/rooms/graph/index.ts';
import { member, state } from './new-events.ts';
import type { ScriptedPeer } from './scripted-peer.ts';

/** A room on a scripted server: its events one after another, by whatever rules the test likes. */
export interface PeerRoom {
  readonly version: string;
  readonly roomId: string;
  /** Its creator, a user of the scripted server. */
  readonly creator: string;
  /** All events, in order. */
  readonly events: EncodedEvent[];
  /** The state events that hold their keys now. */
  state(): EncodedEvent[];
  /** Makes the next event; `changes` to what is built take the place of what would be right. */
  add(wanted: NewEvent, changes?: Partial<NewPdu>): EncodedEvent;
  /** The next event as a template for another server. */
  template(wanted: NewEvent): UnsignedPdu;
  /** Takes in an event that another server has made. */
  take(event: EncodedEvent): void;
}

let made = 0;

/** Makes a room with its creator in it and these join rules. */
export const makePeerRoom = (peer: ScriptedPeer, versionId: string, joinRules: NewEvent['content'] = { join_rule: 'public' }): PeerRoom => {
  const version = roomVersion(versionId);
  const creator = `@carl:${peer.name}`;
  const events: EncodedEvent[] = [];
  const held = new Map<string, EncodedEvent>();
  made += 1;
  let roomId = `!room${String(made)}:${peer.name}`;

  const fieldsOf = (wanted: NewEvent): NewPdu => {
    const keys = authTypesFor({ ...wanted, ...(wanted.stateKey !== undefined && { state_key: wanted.stateKey }) }, version);
    const auth = keys.flatMap(([type, stateKey]) => held.get(stateKeyText(type, stateKey)) ?? []);
    return {
      roomVersion: version,
      roomId,
      ...wanted,
      // Rooms that are named by their create event are told apart by its time.
      originServerTs: Date.now() + made,
      depth: events.length + 1,
      eventId: version.eventIds === 'given' ? `$event${String(made)}-${String(events.length)}:${peer.name}` : undefined,
      prevEvents: referencesTo(events.slice(-1), version),
      authEvents: referencesTo(auth, version),
      serverName: peer.name,
      signingKey: peer.key,
    };
  };

  const take = (event: EncodedEvent): void => {
    events.push(event);
    const { type, state_key: stateKey } = event.pdu;
    if (stateKey !== undefined) held.set(stateKeyText(type, stateKey), event);
  };

  const add: PeerRoom['add'] = (wanted, changes = {}) => {
    const event = buildPdu({ ...fieldsOf(wanted), ...changes });
    take(event);
    return event;
  };

  const create = { room_version: versionId, ...(version.creator === 'content' && { creator }) };
  roomId = add(state(creator, 'm.room.create', '', create)).roomId;
  add(member(creator, creator, 'join'));
  add(state(creator, 'm.room.power_levels', '', { users: version.privilegedCreators ? {} : { [creator]: 100 } }));
  add(state(creator, 'm.room.join_rules', '', joinRules));
  add(state(creator, 'm.room.name', '', { name: 'There' }));
  return {
    version: versionId,
    roomId,
    creator,
    events,
    state: () => [...held.values()],
    add,
    template: (wanted) => templatePdu(fieldsOf(wanted)),
    take,
  };
};
