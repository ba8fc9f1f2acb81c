import { once } from 'node:events';
import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { randomBytes } from 'node:crypto';
import { Agent, request } from 'undici';
import type { JsonObject } from '#src/protocol/json.ts';
import { signingKeyFromSeed, signJson, type SigningKey } from '#src/protocol/signatures.ts';
import { xMatrixHeader } from '#src/protocol/x-matrix.ts';
import type { Json, Reply } from './client.ts';
import { peerCertificate } from './federation.ts';
import type { Server } from './server.ts';

type Respond = (request: IncomingMessage, response: ServerResponse) => void;

/** A homeserver that does what the test tells it to. */
export interface ScriptedPeer extends AsyncDisposable {
  readonly name: string;
  readonly key: SigningKey;
  /** Method and path of what it was asked, in order. */
  readonly asked: string[];
  /** Answers a path in this way from now on, or with `/` at its end everything below it that has no answer of its own. */
  on(path: string, respond: Respond): void;
  /** What it publishes about its keys, signed. */
  publication(changes?: JsonObject): JsonObject;
  /** Asks a homeserver, signed; `changes` to what is signed make the signature wrong, `header` takes the signature's place. */
  ask(
    server: Server,
    method: 'GET' | 'PUT' | 'POST',
    uri: string,
    options?: {
      content?: JsonObject;
      changes?: { origin?: string; destination?: string; uri?: string };
      header?: string | string[];
      key?: SigningKey;
    },
  ): Promise<Reply<Json>>;
}

const DAY_MS = 86_400_000;

export const json = (value: unknown, status = 200): Respond => {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  };
};

/** Starts one that can be found as `localhost:PORT`, or the port of another name of this machine, and publishes its key until it is told otherwise. */
export const startScriptedPeer = async (hostname = 'localhost'): Promise<ScriptedPeer> => {
  const { certificate: cert, key: tlsKey } = peerCertificate();
  const key = signingKeyFromSeed('ed25519:scripted', randomBytes(32));
  const answers = new Map<string, Respond>();
  const asked: string[] = [];
  const listener = createServer({ cert, key: tlsKey }, (incoming, response) => {
    const path = (incoming.url ?? '').replace(/\?.*/, '');
    asked.push(`${incoming.method ?? ''} ${path}`);
    const below = path.slice(0, path.lastIndexOf('/') + 1);
    (answers.get(path) ?? answers.get(below) ?? json({ errcode: 'M_UNRECOGNIZED', error: 'Unrecognized request' }, 404))(
      incoming,
      response,
    );
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const name = `${hostname}:${String((listener.address() as AddressInfo).port)}`;
  const agent = new Agent({ connect: { rejectUnauthorized: false } });
  const publication: ScriptedPeer['publication'] = (changes = {}) =>
    signJson<JsonObject>(
      {
        server_name: name,
        valid_until_ts: Date.now() + DAY_MS,
        verify_keys: { [key.keyId]: { key: key.publicKey } },
        old_verify_keys: {},
        ...changes,
      },
      name,
      key,
    );
  answers.set('/_matrix/key/v2/server', (incoming, response) => json(publication())(incoming, response));
  return {
    name,
    key,
    asked,
    publication,
    on: (path, respond) => void answers.set(path, respond),
    ask: async (server, method, uri, { content, changes = {}, header, key: other = key } = {}) => {
      const signed = { method, uri, origin: name, destination: server.name, content, ...changes };
      const { statusCode, body } = await request(`https://${server.name}${uri}`, {
        method,
        dispatcher: agent,
        headers: { authorization: header ?? xMatrixHeader(signed, other), 'content-type': 'application/json' },
        ...(content !== undefined && { body: JSON.stringify(content) }),
      });
      return { status: statusCode, body: (await body.json()) as Json };
    },
    [Symbol.asyncDispose]: async () => {
      await agent.destroy();
      listener.closeAllConnections();
      listener.close();
      await once(listener, 'close');
    },
  };
};
