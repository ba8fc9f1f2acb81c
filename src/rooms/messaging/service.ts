import { isDeepStrictEqual } from 'node:util';
import type { Requester } from '#src/accounts/index.ts';
import type { Config } from '#src/platform/config/index.ts';
import type { Strings } from '#src/platform/database/strings.ts';
import type { Database } from '#src/platform/database/types.ts';
import type { RateLimiters } from '#src/platform/http/rate-limits.ts';
import { forbidden, unknown } from '#src/protocol/errors.ts';
import type { JsonObject } from '#src/protocol/json.ts';
import { isJsonObject, member } from '#src/protocol/json.ts';
import { creatorsOf } from '#src/protocol/power-levels.ts';
import { relationOf } from '#src/protocol/relations.ts';
import type { Directory } from '#src/rooms/directory/index.ts';
import type { RoomDraft, RoomEvent, RoomGraph, RoomInfo, TransactionKey } from '#src/rooms/graph/index.ts';
import { isMembership, type Membership } from '#src/rooms/membership/index.ts';
import { createAnnotations, relationWriter } from '#src/rooms/messaging/annotations.ts';
import { checkAliases, newAliases } from '#src/rooms/messaging/canonical-alias.ts';
import { checkContent } from '#src/rooms/messaging/content.ts';
import { checkRedaction, redactedIn, redactionContent } from '#src/rooms/messaging/redactions.ts';
import { checkRelation } from '#src/rooms/messaging/relations.ts';

export interface MessagingDependencies {
  graph: RoomGraph;
  database: Pick<Database, 'read'>;
  strings: Strings;
  membership: Pick<Membership, 'change' | 'dismissGuests'>;
  directory: Pick<Directory, 'resolve'>;
  config: Pick<Config, 'server_name'>;
  limiters: Pick<RateLimiters, 'of' | 'ofAdminRedactions'>;
}

export interface Messaging {
  /** Sends a message event; a transaction id that was used before answers with the event that it made then. Without one every request is a new one. */
  send(requester: Requester, roomId: string, type: string, txnId: string | undefined, content: JsonObject): Promise<RoomEvent>;
  /** Sets state; what is set already by the same user answers with the event that is there. */
  setState(requester: Requester, roomId: string, type: string, stateKey: string, content: JsonObject): Promise<RoomEvent>;
  /** Sends a redaction of an event; transaction ids as for `send`. */
  redact(requester: Requester, roomId: string, targetId: string, txnId: string | undefined, content: JsonObject): Promise<RoomEvent>;
}

/** Where a client's transaction ids count: its device; a session without one has a place of its own. */
const transactionKey = (requester: Requester, txnId: string): TransactionKey => ({
  userNum: requester.userNum,
  deviceId: requester.deviceId ?? `session ${String(requester.sessionNum)}`,
  txnId,
});

/** From version 12 creators stand above all levels and are not listed among the users. */
const checkNoCreators = async (draft: RoomDraft, content: JsonObject): Promise<void> => {
  const { users } = content;
  const create = (await draft.state('m.room.create', ''))?.pdu;
  if (!draft.version.privilegedCreators || create === undefined || !isJsonObject(users)) return;
  const listed = creatorsOf(create, draft.version).find((creator) => member(users, creator) !== undefined);
  if (listed !== undefined) throw unknown(`Creator user ${listed} must not appear in content.users`);
};

const checkCall = async (draft: RoomDraft): Promise<void> => {
  const rules = await draft.state('m.room.join_rules', '');
  if (rules?.pdu.content.join_rule === 'public') throw forbidden('Call invites are not allowed in public rooms.');
};

/** Sending events into rooms (client-server API, "Sending events to a room" and "Redactions"). */
export const createMessaging = (dependencies: MessagingDependencies): Messaging => {
  const { graph, membership, directory, config, limiters } = dependencies;
  const messageLimiter = limiters.of('rc_message');
  const annotations = createAnnotations(dependencies);
  graph.takePart(relationWriter);

  const roomFor = async (requester: Requester, roomId: string): Promise<RoomInfo> => {
    const room = await graph.room(roomId);
    if (room === undefined) throw forbidden(`User ${requester.userId} not in room ${roomId}`);
    return room;
  };

  /** Runs a command, once per transaction id where there is one. */
  const once = (
    room: RoomInfo,
    requester: Requester,
    txnId: string | undefined,
    command: (draft: RoomDraft) => Promise<RoomEvent>,
  ): Promise<RoomEvent> => {
    if (txnId === undefined) return graph.write(room, command);
    const key = transactionKey(requester, txnId);
    return graph.write(room, async (draft) => {
      const before = await draft.sent(key);
      if (before !== undefined) return before;
      const event = await command(draft);
      draft.markSent(key, event);
      return event;
    });
  };

  const redact: Messaging['redact'] = async (requester, roomId, targetId, txnId, content) => {
    const { userId: sender } = requester;
    const room = await roomFor(requester, roomId);
    return once(room, requester, txnId, async (draft) => {
      const target = await checkRedaction(draft, graph.events, sender, targetId);
      const limiter = target === undefined || target.pdu.sender === sender ? messageLimiter : limiters.ofAdminRedactions();
      limiter.check(sender);
      const rest = redactionContent(content, targetId, draft.version);
      return draft.append({ sender, type: 'm.room.redaction', content: rest, redacts: targetId });
    });
  };

  const checkCanonicalAlias = async (draft: RoomDraft, content: JsonObject): Promise<void> => {
    const before = await draft.state('m.room.canonical_alias', '');
    await checkAliases(newAliases(content, before?.pdu.content), async (alias) => (await directory.resolve(alias))?.num === draft.room.num);
  };

  const setMember = async (requester: Requester, roomId: string, target: string, content: JsonObject): Promise<RoomEvent> => {
    const { membership: action } = content;
    if (typeof action !== 'string') throw unknown('Invalid membership (must be a string)');
    if (!isMembership(action)) throw unknown('Invalid membership key');
    return membership.change(requester, roomId, { target, action, content });
  };

  return {
    send: async (requester, roomId, type, txnId, content) => {
      if (type === 'm.room.redaction') return redact(requester, roomId, redactedIn(content), txnId, content);
      const room = await roomFor(requester, roomId);
      checkContent(type, false, content, { roomId, serverName: config.server_name });
      const relation = relationOf(content);
      let release = (): void => undefined;
      const sending = once(room, requester, txnId, async (draft) => {
        messageLimiter.check(requester.userId);
        if (relation !== undefined) {
          await checkRelation(draft, graph.events, relation);
          release = await annotations.claim(requester.userNum, type, relation);
        }
        if (type === 'm.call.invite') await checkCall(draft);
        return draft.append({ sender: requester.userId, type, content });
      });
      return sending.finally(() => release());
    },
    setState: async (requester, roomId, type, stateKey, content) => {
      if (type === 'm.room.member') return setMember(requester, roomId, stateKey, content);
      const { userId: sender } = requester;
      const room = await roomFor(requester, roomId);
      checkContent(type, true, content, { roomId, serverName: config.server_name });
      const event = await graph.write(room, async (draft) => {
        const current = await draft.state(type, stateKey);
        const isSet = current?.pdu.sender === sender && current.redactedBy === undefined && isDeepStrictEqual(current.pdu.content, content);
        if (current !== undefined && isSet) return current;
        messageLimiter.check(sender);
        if (type === 'm.room.power_levels') await checkNoCreators(draft, content);
        if (type === 'm.room.canonical_alias' && stateKey === '') await checkCanonicalAlias(draft, content);
        return draft.append({ sender, type, stateKey, content });
      });
      if (type === 'm.room.guest_access' && stateKey === '' && content.guest_access !== 'can_join') await membership.dismissGuests(room);
      return event;
    },
    redact,
  };
};
