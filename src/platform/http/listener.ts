import { chmodSync, readFileSync, unlinkSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import { connect } from 'node:net';
import type { AddressInfo, ListenOptions } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from '#src/platform/logging/index.ts';
import type { ResourceSettings } from './resources.ts';

/** One entry of the configuration's `listeners`. */
export interface ListenerSettings {
  readonly type: 'http' | 'metrics' | 'manhole';
  /** 0 lets the system choose. */
  readonly port?: number | undefined;
  /** A unix socket in place of a port. */
  readonly path?: string | undefined;
  readonly mode?: number | undefined;
  readonly bind_addresses?: readonly string[] | undefined;
  readonly bind_address?: string | undefined;
  readonly tls?: boolean | undefined;
  /** By default only on a unix socket. */
  readonly x_forwarded?: boolean | undefined;
  readonly request_id_header?: string | undefined;
  readonly tag?: string | undefined;
  readonly resources?: readonly ResourceSettings[] | undefined;
}

/** A certificate chain and its key, in PEM. */
export interface TlsMaterial {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
}

/** Reads `tls_certificate_path` and `tls_private_key_path`. */
export const readTlsFiles = (certificatePath: string, keyPath: string): TlsMaterial => ({
  cert: readFileSync(certificatePath),
  key: readFileSync(keyPath),
});

/** An open listener. */
export interface Listening {
  /** Of the first address; `undefined` on a unix socket. */
  readonly port: number | undefined;
  /** `http://[::1]:8008`, `unix:/run/myelin.sock` */
  readonly addresses: readonly string[];
  /** New connections get the new certificate. Throws, and changes nothing, when it cannot be used. */
  reloadTls(tls: TlsMaterial): void;
  /** Stops accepting, waits for `drained` at most `graceMs`, then cuts what is left. */
  close(drained: Promise<void>, graceMs: number): Promise<void>;
}

export type Handle = (request: IncomingMessage, response: ServerResponse) => void;

// Longer than what proxies keep their idle connections for: the side that closes first must not be the one that is about to be asked.
const KEEP_ALIVE_MS = 75_000;
/** For a whole request with its body; uploads over slow lines need some. */
const REQUEST_MS = 600_000;

const CLIENT_ERRORS: Readonly<Record<string, readonly [status: string, errcode: string, error: string]>> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'M_TOO_LARGE', 'URL or headers are too long'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'M_UNKNOWN', 'The request took too long to arrive'],
};

/** Answers what is not HTTP; there is no request object yet. */
const answerClientError = (error: NodeJS.ErrnoException, socket: Duplex): void => {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, errcode, sentence] = CLIENT_ERRORS[error.code ?? ''] ?? ['400 Bad Request', 'M_UNKNOWN', 'The request is not valid HTTP'];
  const body = JSON.stringify({ errcode, error: sentence });
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n${body}`,
  );
};

const makeServer = (handle: Handle, tls: TlsMaterial | undefined): Server | TlsServer => {
  const options = { keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: REQUEST_MS };
  // An import would read every name that node:http exports, WebSocket too, and so load Node's HTTP client: 15 MB and 30 ms for nothing.
  const server =
    tls === undefined
      ? process.getBuiltinModule('node:http').createServer(options, handle)
      : process.getBuiltinModule('node:https').createServer({ ...options, ...tls }, handle);
  server.on('clientError', answerClientError);
  return server;
};

const open = (server: Server, where: ListenOptions): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });

/** Takes away a socket file that nobody listens on any more. */
const removeStaleSocket = (path: string): Promise<void> =>
  new Promise((resolve) => {
    const probe = connect(path);
    probe.on('connect', () => {
      probe.destroy();
      resolve();
    });
    probe.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') unlinkSync(path);
      resolve();
    });
  });

export const bindAddresses = (settings: ListenerSettings): readonly string[] => {
  const listed = [...(settings.bind_addresses ?? []), ...(settings.bind_address === undefined ? [] : [settings.bind_address])];
  const addresses = listed.map((address) => (address === '' ? '0.0.0.0' : address));
  if (addresses.length > 0) return [...new Set(addresses)];
  return settings.type === 'metrics' ? ['0.0.0.0'] : ['::', '0.0.0.0'];
};

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

/** Binds all addresses to one port. A machine without IPv6, or without `::1`, is served on what it has. */
const openPorts = async (settings: ListenerSettings, make: () => Server, logger: Logger): Promise<Server[]> => {
  const addresses = bindAddresses(settings);
  const servers: Server[] = [];
  let port = settings.port ?? 0;
  for (const host of addresses) {
    const server = make();
    try {
      // Of both wildcards each takes its own family, so that their order does not matter.
      await open(server, { host, port, ipv6Only: host === '::' && addresses.includes('0.0.0.0') });
    } catch (error) {
      const isMissingIpv6 = host.includes(':') && ['EAFNOSUPPORT', 'EADDRNOTAVAIL'].includes(codeOf(error) ?? '');
      if (isMissingIpv6 && addresses.length > 1) {
        logger.warn(`Failed to listen on ${host}, continuing without it: this machine does not have it`);
        continue;
      }
      await Promise.all(servers.map(closeServer));
      throw new Error(`cannot listen on ${host} port ${port}: ${codeOf(error) ?? String(error)}`, { cause: error });
    }
    port = (server.address() as AddressInfo).port;
    servers.push(server);
  }
  if (servers.length === 0) throw new Error(`cannot listen on port ${port}: none of ${addresses.join(', ')} exists on this machine`);
  return servers;
};

const openSocket = async (path: string, mode: number, make: () => Server): Promise<Server[]> => {
  await removeStaleSocket(path);
  const server = make();
  try {
    await open(server, { path });
  } catch (error) {
    throw new Error(`cannot listen on ${path}: ${codeOf(error) ?? String(error)}`, { cause: error });
  }
  chmodSync(path, mode);
  return [server];
};

const closeServer = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));

const urlOf = (server: Server, tls: boolean): string => {
  const address = server.address();
  if (typeof address === 'string') return `unix:${address}`;
  const host = address?.family === 'IPv6' ? `[${address.address}]` : (address?.address ?? '');
  return `${tls ? 'https' : 'http'}://${host}:${address?.port ?? 0}`;
};

const DEFAULT_MODE = 0o666;

/**
 * Opens the sockets of one listener.
 * @throws Error with one sentence when an address cannot be bound or the certificate cannot be used
 */
export const listen = async (
  handle: Handle,
  settings: ListenerSettings,
  { logger, tls }: { logger: Logger; tls?: TlsMaterial | undefined },
): Promise<Listening> => {
  const isTls = settings.tls === true;
  if (isTls && tls === undefined) throw new Error('a listener has tls: true, but no certificate was given');
  const make = (): Server => makeServer(handle, isTls ? tls : undefined);
  const servers =
    settings.path === undefined
      ? await openPorts(settings, make, logger)
      : await openSocket(settings.path, settings.mode ?? DEFAULT_MODE, make);
  const addresses = servers.map((server) => urlOf(server, isTls));
  const first = servers[0]?.address();
  for (const address of addresses) logger.info(`Now listening on ${address}`);
  return {
    port: typeof first === 'object' ? first?.port : undefined,
    addresses,
    reloadTls: (next) => {
      if (isTls) for (const server of servers) (server as TlsServer).setSecureContext(next);
    },
    close: async (drained, graceMs) => {
      const closed = Promise.all(servers.map(closeServer));
      const grace = Promise.withResolvers<void>();
      const timer = setTimeout(grace.resolve, graceMs);
      await Promise.race([drained, grace.promise]);
      clearTimeout(timer);
      for (const server of servers) server.closeAllConnections();
      await closed;
    },
  };
};
