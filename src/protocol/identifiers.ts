/** User ids, room ids, aliases, event ids, event types and state keys may be this long. */
export const MAX_ID_BYTES = 255;

/** An id of the form sigil, localpart, colon, server name, without its sigil. */
export interface QualifiedId {
  readonly localpart: string;
  readonly serverName: string;
}

/** A server name's two parts; the port is absent where none is written. */
export interface ServerName {
  readonly hostname: string;
  readonly port: number | undefined;
}

/** The length in UTF-8. */
export const byteLength = (text: string): number => Buffer.byteLength(text, 'utf8');

const SERVER_NAME = /^(\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z.-]{1,255})(?::(\d{1,5}))?$/;

/** The parts of a server name (appendices, Server Name), or `undefined` when it is none. */
export const parseServerName = (text: string): ServerName | undefined => {
  const match = SERVER_NAME.exec(text);
  return match === null ? undefined : { hostname: match[1]!, port: match[2] === undefined ? undefined : Number(match[2]) };
};

export const isServerName = (text: string): boolean => SERVER_NAME.test(text);

/** What follows the first colon of a user id, room alias or old room id; `undefined` without a colon. The text is not checked otherwise. */
export const domainOf = (id: string): string | undefined => {
  const colon = id.indexOf(':');
  return colon < 0 ? undefined : id.slice(colon + 1);
};

const parseQualified = (sigil: string, text: string): QualifiedId | undefined => {
  const colon = text.indexOf(':');
  if (!text.startsWith(sigil) || colon < 0) return undefined;
  const localpart = text.slice(1, colon);
  const serverName = text.slice(colon + 1);
  if (localpart.includes('\0') || !text.isWellFormed() || byteLength(text) > MAX_ID_BYTES || !isServerName(serverName)) return undefined;
  return { localpart, serverName };
};

/**
 * The parts of a user id, or `undefined` when it is none. The localpart may be any that history has left in rooms, even empty
 * (appendices, Historical User IDs); for an account to be made there is `isNewLocalpart`.
 */
export const parseUserId = (text: string): QualifiedId | undefined => parseQualified('@', text);

export const isUserId = (text: unknown): text is string => typeof text === 'string' && parseUserId(text) !== undefined;

export const makeUserId = (localpart: string, serverName: string): string => `@${localpart}:${serverName}`;

/** Whether an account may be made with this localpart: `a-z 0-9 . _ = - / +`, not empty. The length of the whole id is not looked at. */
export const isNewLocalpart = (localpart: string): boolean => /^[a-z0-9._=/+-]+$/.test(localpart);

/** Whether the localpart is one that may be shown outside events: U+0021 to U+007E, not empty. */
export const isCompliantLocalpart = (localpart: string): boolean => /^[\x21-\x7e]+$/.test(localpart);

export const parseRoomAlias = (text: string): QualifiedId | undefined => parseQualified('#', text);

export const isRoomAlias = (text: unknown): text is string => typeof text === 'string' && parseRoomAlias(text) !== undefined;

const isOpaqueId = (sigil: string, text: unknown): text is string =>
  typeof text === 'string' && text.length > 1 && text.startsWith(sigil) && !text.includes('\0') && byteLength(text) <= MAX_ID_BYTES;

/** Whether the text can be a room's id in any room version. Nothing may be read out of its inside. */
export const isRoomId = (text: unknown): text is string => isOpaqueId('!', text);

/** Whether the text can be an event's id in any room version. */
export const isEventId = (text: unknown): text is string => isOpaqueId('$', text);

/** Whether the text is an event's id where the sender's server gives it: with that server's name (versions 1 and 2). */
export const isGivenEventId = (text: unknown): text is string => typeof text === 'string' && parseQualified('$', text) !== undefined;

/** The id of the room that a create event makes, where room ids are made that way (version 12). */
export const roomIdOfCreate = (createEventId: string): string => `!${createEventId.slice(1)}`;

/** The other way round. */
export const createEventIdOf = (roomId: string): string => `$${roomId.slice(1)}`;
