/** What other servers' directories say; `homeserver.ts` plugs federation in. Both throw what the other server says, or that it did not answer. */
export interface RemoteDirectory {
  /** The room that an alias of another server stands for, with servers that are in it; undefined where there is no such alias. */
  alias(alias: string): Promise<{ readonly roomId: string; readonly servers: readonly string[] } | undefined>;
  /** Another server's list of public rooms, as it answers. */
  publicRooms(
    serverName: string,
    query: {
      readonly limit: number;
      readonly since: string | undefined;
      readonly term: string | undefined;
      readonly types: readonly (string | null)[] | undefined;
    },
  ): Promise<Readonly<Record<string, unknown>>>;
}
