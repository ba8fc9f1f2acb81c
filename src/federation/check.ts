import { isIP } from 'node:net';
import type { Clock } from '#src/platform/clock.ts';
import type { Config } from '#src/platform/config/index.ts';
import { type Dns, type OutgoingAnswer, OutgoingError, type OutgoingFault } from '#src/platform/network/index.ts';
import type { Random } from '#src/platform/random.ts';
import { parseServerName } from '#src/protocol/identifiers.ts';
import { isJsonObject, parseLosslessJson, type JsonObject } from '#src/protocol/json.ts';
import type { SigningKey } from '#src/protocol/signatures.ts';
import type { BackOff } from '#src/federation/back-off.ts';
import { createFederationClient } from '#src/federation/client.ts';
import { createDiscovery, type Whereabouts } from '#src/federation/discovery/resolve.ts';
import { askDelegation, createWellKnown } from '#src/federation/discovery/well-known.ts';
import { FederationError } from '#src/federation/faults.ts';
import { readPublication } from '#src/federation/keys/publication.ts';
import { createWayOut } from '#src/federation/way-out.ts';

/** What was found at one step of the way to another server. */
export interface Finding {
  /** A `note` is worth knowing and stops nothing. */
  readonly outcome: 'well' | 'note' | 'fault';
  readonly step: string;
  readonly sentence: string;
}

export interface CheckTools {
  readonly config: Config;
  readonly signingKey: SigningKey;
  readonly dns: Dns;
  readonly clock: Clock;
  readonly random: Random;
  /** This program's. */
  readonly version: string;
}

const TIMEOUT_MS = 10_000;
const MAX_BYTES = 1024 * 1024;
/** A clock may differ by so much without anybody's noticing, in milliseconds. */
const CLOCK_TOLERANCE_MS = 10_000;

/** Nothing is remembered of servers that are only looked at. */
const NO_BACK_OFF: BackOff = {
  trouble: () => undefined,
  inTrouble: () => [],
  succeeded: () => undefined,
  failed: () => undefined,
  heardFrom: () => undefined,
  onRecovered: () => undefined,
  settled: () => Promise.resolve(),
};

const ADVICE: Readonly<Record<OutgoingFault, string>> = {
  dns: 'the name leads nowhere',
  denied: 'this server does not connect to such addresses (ip_range_blacklist, federation_ip_range_blacklist)',
  connect: 'nobody answers there: the server is down, its port is another one, or a firewall is between',
  tls: 'its certificate or encryption does not do; federation_custom_ca_list has further authorities',
  timeout: 'it takes too long',
  'too-large': 'it answers with too much',
  aborted: 'it was given up',
};

const explain = (error: unknown): string =>
  error instanceof OutgoingError ? `${error.message} (${ADVICE[error.fault]})` : error instanceof Error ? error.message : String(error);

const objectIn = ({ body }: OutgoingAnswer): JsonObject | undefined => {
  try {
    const value = parseLosslessJson(body.toString('utf8'));
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
};

const programIn = (answer: OutgoingAnswer): string => {
  const server = objectIn(answer)?.['server'];
  if (!isJsonObject(server) || typeof server['name'] !== 'string') return 'a program that does not say its name';
  // What it says is printed.
  return `${server['name']} ${typeof server['version'] === 'string' ? server['version'] : ''}`
    .replaceAll(/\p{Cc}/gu, '?')
    .slice(0, 100)
    .trim();
};

/**
 * Goes the way to another server step by step and tells what it finds: delegation, addresses, connection, clock, keys, and whether the server accepts what this
 * one signs, for which it has to find its way back. Answers whether there is no fault. Throws `ConfigError`.
 */
export const checkServer = async (tools: CheckTools, serverName: string, tell: (finding: Finding) => void): Promise<boolean> => {
  const { config, signingKey, dns, clock, random, version } = tools;
  let isWell = true;
  const say = (outcome: Finding['outcome'], step: string, sentence: string): void => {
    if (outcome === 'fault') isWell = false;
    tell({ outcome, step, sentence });
  };
  const parsed = parseServerName(serverName);
  if (parsed === undefined) {
    say('fault', 'name', `${serverName} is not a server name`);
    return false;
  }
  const { http, policy, isAllowed, checksCertificateOf } = createWayOut(config, dns, version);
  if (!isAllowed(serverName))
    say('fault', 'name', `${serverName} is not on federation_domain_whitelist: this server does not talk with it`);
  const discovery = createDiscovery({ wellKnown: createWellKnown({ http, clock, random }), dns, clock, random });

  const lookAtDelegation = async (): Promise<void> => {
    const { hostname, port } = parsed;
    if (port !== undefined || hostname.startsWith('[') || isIP(hostname) !== 0) {
      say('well', 'delegation', `${serverName} has a port or is an address, so nothing is delegated`);
      return;
    }
    const where = `https://${hostname}/.well-known/matrix/server`;
    try {
      const { answer, delegate } = await askDelegation(http, hostname);
      if (delegate !== undefined) say('well', 'delegation', `${where} delegates to ${delegate}`);
      else if (answer?.status === 404) say('well', 'delegation', `${where} answers 404, so nothing is delegated`);
      else if (answer?.status === 200)
        say('note', 'delegation', `${where} has no m.server with a server name in it, so nothing is delegated`);
      else say('note', 'delegation', `${where} leads nowhere (${String(answer?.status ?? 'redirects')}), so nothing is delegated`);
    } catch (error) {
      say('note', 'delegation', `${where} cannot be read, so nothing is delegated: ${explain(error)}`);
    }
  };

  const lookUp = async (): Promise<Whereabouts | undefined> => {
    try {
      const whereabouts = await discovery.resolve(serverName);
      const lines = await Promise.all(
        whereabouts.targets.map(async ({ host, port }) => {
          const found = isIP(host) === 0 ? (await dns.addresses(host)).map(({ address }) => address) : [host];
          const shown = found.map((address) => (policy.isAllowed(address) ? address : `${address} (denied)`));
          return `${host} port ${String(port)} is ${shown.join(', ')}`;
        }),
      );
      say('well', 'addresses', lines.join('; '));
      return whereabouts;
    } catch (error) {
      say('fault', 'addresses', explain(error));
      return undefined;
    }
  };

  const get = async ({ authority }: Whereabouts, connectTo: Whereabouts['targets'][number], path: string): Promise<OutgoingAnswer> =>
    http.request({
      method: 'GET',
      url: `https://${authority}${path}`,
      connectTo,
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
      isCertificateIgnored: !checksCertificateOf(serverName),
    });

  const connect = async (whereabouts: Whereabouts): Promise<Whereabouts['targets'][number] | undefined> => {
    for (const target of whereabouts.targets) {
      const place = `${target.host} port ${String(target.port)}`;
      try {
        const startMs = clock.monotonic();
        const answer = await get(whereabouts, target, '/_matrix/federation/v1/version');
        const ms = Math.round(clock.monotonic() - startMs);
        const certificate = checksCertificateOf(serverName)
          ? `with a certificate for ${whereabouts.authority}`
          : 'with a certificate that is not checked';
        if (answer.status === 200) say('well', 'connection', `${place} answers in ${String(ms)} ms ${certificate}: ${programIn(answer)}`);
        else
          say(
            'note',
            'connection',
            `${place} answers in ${String(ms)} ms ${certificate}, but does not say its version (${String(answer.status)})`,
          );
        lookAtClock(answer);
        return target;
      } catch (error) {
        say('fault', 'connection', `${place}: ${explain(error)}`);
      }
    }
    return undefined;
  };

  const lookAtClock = ({ headers }: OutgoingAnswer): void => {
    const theirs = Date.parse(headers.date ?? '');
    if (Number.isNaN(theirs)) return;
    const aheadMs = theirs - clock.now();
    const seconds = `${String(Math.round(Math.abs(aheadMs) / 1000))} s`;
    if (Math.abs(aheadMs) <= CLOCK_TOLERANCE_MS) say('well', 'clock', 'the clocks agree');
    else say('note', 'clock', `its clock is ${seconds} ${aheadMs > 0 ? 'ahead of' : 'behind'} this machine's: one of the two is wrong`);
  };

  const lookAtKeys = async (whereabouts: Whereabouts, target: Whereabouts['targets'][number]): Promise<void> => {
    try {
      const answer = await get(whereabouts, target, '/_matrix/key/v2/server');
      const json = answer.status === 200 ? objectIn(answer) : undefined;
      const publication = json && readPublication(json, serverName, clock.now());
      if (publication === undefined) {
        say('fault', 'keys', `what it answers about its keys (${String(answer.status)}) is not signed by ${serverName} with a key in it`);
        return;
      }
      const until = new Date(publication.validUntilTs).toISOString().slice(0, 16).replace('T', ' ');
      const ids = publication.keys.map(({ keyId }) => keyId).join(', ');
      if (publication.validUntilTs < clock.now()) say('fault', 'keys', `its keys (${ids}) were valid until ${until} UTC`);
      else say('well', 'keys', `${ids}, valid until ${until} UTC`);
    } catch (error) {
      say('fault', 'keys', explain(error));
    }
  };

  const askSigned = async (): Promise<void> => {
    if (serverName === config.server_name) {
      say('note', 'signature', 'this is the server itself, which takes no signed requests of its own');
      return;
    }
    const client = createFederationClient({
      serverName: config.server_name,
      signingKey,
      http,
      discovery,
      backOff: NO_BACK_OFF,
      clock,
      random,
      config: config.federation,
      isAllowed: () => true,
      checksCertificateOf,
    });
    try {
      const query = { user_id: `@nobody:${serverName}`, field: 'displayname' };
      await client.ask(serverName, { method: 'GET', path: '/_matrix/federation/v1/query/profile', query, timeoutMs: 3 * TIMEOUT_MS });
      say('well', 'signature', 'it accepts what this server signs');
    } catch (error) {
      const refusal = error instanceof FederationError ? error.refusal : undefined;
      if (refusal === undefined) say('fault', 'signature', explain(error));
      else if (refusal.status === 401)
        say(
          'fault',
          'signature',
          `it does not accept what ${config.server_name} signs (${refusal.errcode} ${refusal.error}): see that it can reach this server's keys from outside`,
        );
      else if (refusal.status < 500)
        say('well', 'signature', `it accepts what this server signs (asked for a user who is not there, it answers ${refusal.errcode})`);
      else say('fault', 'signature', `it answers ${String(refusal.status)} ${refusal.errcode} ${refusal.error}`);
    }
  };

  try {
    await lookAtDelegation();
    const whereabouts = await lookUp();
    const target = whereabouts && (await connect(whereabouts));
    if (whereabouts !== undefined && target !== undefined) {
      await lookAtKeys(whereabouts, target);
      await askSigned();
    }
  } finally {
    http.close();
  }
  return isWell;
};
