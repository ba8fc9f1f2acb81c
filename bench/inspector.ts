import { writeFileSync } from 'node:fs';

/** Begins a profile of a server's main thread; what it resolves to ends it and writes it down, for Chrome's tools and `bench/profile.ts`. */
export type Profiling = () => Promise<() => Promise<void>>;

const SAMPLE_MICROSECONDS = 200;

interface Reply {
  readonly id?: number;
  readonly result?: { readonly profile?: unknown };
  readonly error?: { readonly message: string };
}

type Call = (method: string, params?: object) => Promise<Reply>;

/** Connects to Node's inspector in a process that was started with `--inspect=127.0.0.1:port`. */
const connect = async (port: number): Promise<{ call: Call; close: () => void }> => {
  const targets = (await (await fetch(`http://127.0.0.1:${String(port)}/json/list`)).json()) as { webSocketDebuggerUrl: string }[];
  const socket = new WebSocket(targets[0]?.webSocketDebuggerUrl ?? '');
  const waiting = new Map<number, PromiseWithResolvers<Reply>>();
  socket.addEventListener('message', ({ data }) => {
    const reply = JSON.parse(String(data)) as Reply;
    const call = reply.id === undefined ? undefined : waiting.get(reply.id);
    if (reply.error) call?.reject(new Error(reply.error.message));
    else call?.resolve(reply);
  });
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', () => reject(new Error('The inspector does not answer')));
  });
  return {
    call: async (method, params = {}) => {
      const id = waiting.size + 1;
      const answered = Promise.withResolvers<Reply>();
      waiting.set(id, answered);
      socket.send(JSON.stringify({ id, method, params }));
      return answered.promise;
    },
    close: () => socket.close(),
  };
};

/** Profiles the process whose inspector listens there, into `file`. */
export const profileProcess =
  (port: number, file: string): Profiling =>
  async () => {
    const { call, close } = await connect(port);
    await call('Profiler.enable');
    await call('Profiler.setSamplingInterval', { interval: SAMPLE_MICROSECONDS });
    await call('Profiler.start');
    return async () => {
      const { result } = await call('Profiler.stop');
      writeFileSync(file, JSON.stringify(result?.profile));
      close();
    };
  };
