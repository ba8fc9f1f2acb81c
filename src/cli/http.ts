import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { json } from 'node:stream/consumers';
import { CommandError } from '#src/cli/io.ts';

export interface JsonAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

const TIMEOUT_MS = 60_000;

/**
 * One request to the administrator's own server. Its certificate is not checked: it is usually made for the public name, and asked by another.
 * @throws CommandError when there is no answer
 */
export const askJson = (method: 'GET' | 'POST', url: string, body?: unknown, accessToken?: string): Promise<JsonAnswer> =>
  new Promise((resolve, reject) => {
    const fail = (error: Error): void =>
      reject(new CommandError(`${url} cannot be reached: ${error.message === '' ? (error as NodeJS.ErrnoException).code : error.message}`));
    if (!URL.canParse(url) || !/^https?:/u.test(url)) {
      reject(new CommandError(`${url} is not a URL`));
      return;
    }
    const headers = { 'content-type': 'application/json', ...(accessToken !== undefined && { authorization: `Bearer ${accessToken}` }) };
    const settings = { method, headers, timeout: TIMEOUT_MS };
    const sent = url.startsWith('https:') ? tlsRequest(url, { ...settings, rejectUnauthorized: false }) : plainRequest(url, settings);
    sent.once('timeout', () => sent.destroy(new Error('no answer in time')));
    sent.once('error', fail);
    sent.once('response', (response) => {
      json(response).then(
        (parsed) =>
          resolve({
            status: response.statusCode ?? 0,
            body: typeof parsed === 'object' && parsed !== null ? (parsed as JsonAnswer['body']) : {},
          }),
        () => resolve({ status: response.statusCode ?? 0, body: {} }),
      );
    });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
