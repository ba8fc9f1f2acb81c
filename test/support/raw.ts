import { connect } from 'node:net';

export interface RawReply {
  readonly status: number;
  readonly text: string;
}

const LIMIT_MS = 10_000;

/** Sends bytes as they are on a connection of their own and reads the first answer; status 0 when the server closes without one. */
export const sendRaw = (origin: string, bytes: string | Buffer): Promise<RawReply> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(origin);
    const chunks: Buffer[] = [];
    const socket = connect({ host: hostname, port: Number(port) }, () => socket.end(bytes));
    socket.setTimeout(LIMIT_MS, () => {
      reject(new Error(`No answer to ${bytes.toString().slice(0, 100)}`));
      socket.destroy();
    });
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => undefined); // a server may well hang up on this
    socket.on('close', () => {
      const answer = Buffer.concat(chunks).toString();
      const [, status = '0'] = /^HTTP\/1\.[01] (\d+)/.exec(answer) ?? [];
      resolve({ status: Number(status), text: answer.slice(answer.indexOf('\r\n\r\n') + 4) });
    });
  });
