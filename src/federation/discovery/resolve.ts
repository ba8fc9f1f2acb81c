import { isIP } from 'node:net';
import { entryCache } from '#src/platform/cache/index.ts';
import type { Clock } from '#src/platform/clock.ts';
import { type Dns, OutgoingError, type SrvRecord } from '#src/platform/network/index.ts';
import type { Random } from '#src/platform/random.ts';
import { parseServerName } from '#src/protocol/identifiers.ts';
import type { WellKnown } from '#src/federation/discovery/well-known.ts';

/** Where a server is. */
export interface Whereabouts {
  /** What `Host` says and the certificate is for: a host name or an address, with a port where one belongs to it. */
  readonly authority: string;
  /** Where to connect, in the order in which to try. */
  readonly targets: ReadonlyArray<{ readonly host: string; readonly port: number }>;
}

/** Finds servers. */
export interface Discovery {
  /** Throws `OutgoingError` for what is no server name, or whose server says that it is nowhere. */
  resolve(serverName: string): Promise<Whereabouts>;
}

const DEFAULT_PORT = 8448;
/** The service's name, and the one that it had before specification 1.8. */
const SERVICES = ['_matrix-fed._tcp', '_matrix._tcp'];
const MAX_REMEMBERED = 10_000;
/** Node does not say for how long a record may be kept; as long as this an old one can do no harm. */
const SERVICES_KEPT_MS = 60_000;

/** By priority, and within one by chance, the heavier the likelier (RFC 2782). */
const inOrder = (records: readonly SrvRecord[], random: Random): SrvRecord[] => {
  const left = records.toSorted((a, b) => a.priority - b.priority || a.weight - b.weight);
  const ordered: SrvRecord[] = [];
  while (left.length > 0) {
    const alike = left.filter(({ priority }) => priority === left[0]!.priority);
    let drawn = random.below(alike.reduce((sum, { weight }) => sum + weight, 0) + 1);
    const chosen = alike.find(({ weight }) => (drawn -= weight) <= 0) ?? alike[0]!;
    ordered.push(chosen);
    left.splice(left.indexOf(chosen), 1);
  }
  return ordered;
};

/** Finds out where servers are (server-server API, Resolving server names). */
export const createDiscovery = ({
  wellKnown,
  dns,
  clock,
  random,
}: {
  wellKnown: WellKnown;
  dns: Pick<Dns, 'services'>;
  clock: Clock;
  random: Random;
}): Discovery => {
  const services = entryCache<string, { readonly records: readonly SrvRecord[]; readonly untilMs: number }>(MAX_REMEMBERED);

  const servicesOf = async (hostname: string): Promise<readonly SrvRecord[]> => {
    const known = services.get(hostname);
    if (known !== undefined && known.untilMs > clock.monotonic()) return known.records;
    let records: readonly SrvRecord[] = [];
    for (const service of SERVICES) {
      // A name server that is in trouble leaves the port that every server has by default.
      records = await dns.services(`${service}.${hostname}`).catch(() => []);
      if (records.length > 0) break;
    }
    services.set(hostname, { records, untilMs: clock.monotonic() + SERVICES_KEPT_MS });
    return records;
  };

  /** Where a name leads that delegates no further. */
  const locate = async (name: string): Promise<Whereabouts> => {
    const parsed = parseServerName(name);
    if (parsed === undefined) throw new OutgoingError('dns', `${name} is not a server name`);
    const { hostname, port } = parsed;
    const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
    if (isIP(host) !== 0 || port !== undefined) return { authority: name, targets: [{ host, port: port ?? DEFAULT_PORT }] };
    const records = await servicesOf(hostname);
    if (records.length === 0) return { authority: hostname, targets: [{ host, port: DEFAULT_PORT }] };
    const offered = inOrder(records, random).filter((record) => record.name !== '' && record.name !== '.');
    if (offered.length === 0) throw new OutgoingError('dns', `${name} says that it offers no Matrix server`);
    return { authority: hostname, targets: offered.map((record) => ({ host: record.name, port: record.port })) };
  };

  return {
    resolve: async (serverName) => {
      const parsed = parseServerName(serverName);
      if (parsed === undefined) throw new OutgoingError('dns', `${serverName} is not a server name`);
      const isFinal = parsed.port !== undefined || parsed.hostname.startsWith('[') || isIP(parsed.hostname) !== 0;
      const delegate = isFinal ? undefined : await wellKnown.find(parsed.hostname);
      return locate(delegate ?? serverName);
    },
  };
};
