import type { VerifyKey } from '#src/protocol/signatures.ts';

/** The keys of servers, with which events' signatures are checked. */
export interface ServerKeys {
  /**
   * A server's key with this id, if it may be used for what was signed at `atMs` (`origin_server_ts`); at any time where `atMs` is undefined. Undefined
   * when it is not known or was not valid then. May take as long as asking other servers takes.
   */
  find(serverName: string, keyId: string, atMs: number | undefined): Promise<VerifyKey | undefined>;
}

/** Knows this server's own keys and no others. */
export const ownServerKeys = (serverName: string, keys: readonly VerifyKey[]): ServerKeys => ({
  find: (name, keyId) => Promise.resolve(name === serverName ? keys.find((key) => key.keyId === keyId) : undefined),
});
