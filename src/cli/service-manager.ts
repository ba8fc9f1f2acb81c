import { spawn } from 'node:child_process';

/** The service manager that started the process, as systemd does it: it hears on a socket how the start is going. */
export interface ServiceManager {
  ready(): Promise<void>;
  reloading(): Promise<void>;
  stopping(): Promise<void>;
}

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2_000_000;
const MSG_NOSIGNAL = 0x40_00;

/** `struct sockaddr_un`: the family in the machine's byte order, then the path; a path with @ in front is an abstract name, which has a null byte there. */
const socketAddress = (path: string): Buffer => {
  const family = Buffer.from(new Uint16Array([AF_UNIX]).buffer);
  const isAbstract = path.startsWith('@');
  return Buffer.concat([family, Buffer.from(isAbstract ? `\0${path.slice(1)}` : `${path}\0`)]);
};

/**
 * Node has no datagram sockets for unix paths, so the message goes out through the C library. It must come from this very process:
 * by default systemd believes no other. Fails where Node was built without `node:ffi`.
 */
const sendItself = async (path: string, message: string): Promise<void> => {
  const { dlopen } = await import('node:ffi');
  using library = dlopen(null, {
    socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
    sendto: { arguments: ['int32', 'buffer', 'uint64', 'int32', 'buffer', 'uint32'], return: 'int64' },
    close: { arguments: ['int32'], return: 'int32' },
  });
  const { socket, sendto, close } = library.functions;
  const descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) throw new Error('no socket could be opened');
  const payload = Buffer.from(message);
  const address = socketAddress(path);
  const sent = Number(sendto(descriptor, payload, BigInt(payload.length), MSG_NOSIGNAL, address, address.length));
  close(descriptor);
  if (sent !== payload.length) throw new Error(`nobody listens on ${path}`);
};

/** The same through systemd's own helper. It is another process, so the unit needs `NotifyAccess=all` unless it runs as root. */
const sendByHelper = (env: Env, message: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const helper = spawn('systemd-notify', [`--pid=${String(process.pid)}`, ...message.trim().split('\n')], { env, stdio: 'ignore' });
    helper.once('error', reject);
    helper.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`systemd-notify ended with code ${String(code)}`))));
  });

type Env = Readonly<Record<string, string | undefined>>;

/** Speaks to whoever listens on `$NOTIFY_SOCKET`; says nothing where that is not set. A message that cannot be sent is a warning. */
export const createServiceManager = (env: Env, warn: (message: string) => void): ServiceManager => {
  const path = env['NOTIFY_SOCKET'];
  const send = async (message: string): Promise<void> => {
    if (path === undefined || path === '') return;
    try {
      if (process.platform !== 'linux') throw new Error('only Linux has such sockets');
      await sendItself(path, message);
    } catch (error) {
      await sendByHelper(env, message).catch((second: unknown) => {
        warn(
          `The service manager could not be told ${message.split('\n')[0] ?? ''}: ${(error as Error).message}; ${(second as Error).message}`,
        );
      });
    }
  };
  return {
    ready: () => send(`READY=1\nMAINPID=${String(process.pid)}\n`),
    // The time is what systemd compares with its own for `Type=notify-reload`.
    reloading: () => send(`RELOADING=1\nMONOTONIC_USEC=${String(process.hrtime.bigint() / 1000n)}\n`),
    stopping: () => send('STOPPING=1\n'),
  };
};
