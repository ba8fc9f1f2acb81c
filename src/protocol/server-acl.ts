import { isIP } from 'node:net';
import { globMatches } from '#src/protocol/glob.ts';
import { parseServerName } from '#src/protocol/identifiers.ts';
import type { JsonObject, JsonValue } from '#src/protocol/json.ts';

const patternsOf = (value: JsonValue | undefined): readonly string[] =>
  Array.isArray(value) ? (value as readonly JsonValue[]).filter((each) => typeof each === 'string') : [];

const isAddress = (hostname: string): boolean => hostname.startsWith('[') || isIP(hostname) === 4;

/** Whether the content of an `m.room.server_acl` event lets a server take part (client-server API, "Server ACLs"). */
export const aclAllows = (content: JsonObject, serverName: string): boolean => {
  const hostname = parseServerName(serverName)?.hostname ?? serverName;
  if (content.allow_ip_literals === false && isAddress(hostname)) return false;
  if (patternsOf(content.deny).some((pattern) => globMatches(pattern, hostname))) return false;
  return patternsOf(content.allow).some((pattern) => globMatches(pattern, hostname));
};
