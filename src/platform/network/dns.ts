import { lookup, resolveSrv } from 'node:dns/promises';

export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

/** One way to a service (RFC 2782). */
export interface SrvRecord {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

/** How names become addresses; a test brings its own. */
export interface Dns {
  /** All addresses of a host, in the order in which to try them. Throws what `node:dns` throws. */
  addresses(host: string): Promise<readonly Address[]>;
  /** The records of a service; none when there are none. Throws when the question could not be answered. */
  services(name: string): Promise<readonly SrvRecord[]>;
}

const NO_RECORD = new Set(['ENODATA', 'ENOTFOUND']);

/** What the machine knows: its hosts file and its name servers. */
export const systemDns: Dns = {
  addresses: async (host) => (await lookup(host, { all: true })).map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 })),
  services: async (name) => {
    try {
      return await resolveSrv(name);
    } catch (error) {
      if (NO_RECORD.has((error as NodeJS.ErrnoException).code ?? '')) return [];
      throw error;
    }
  },
};
