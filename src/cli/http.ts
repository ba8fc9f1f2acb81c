import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { json } from 'node:stream/consumers';
import { CommandError, UsageError } from '#src/cli/io.ts';

export interface JsonAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

const TIMEOUT_MS = 60_000;

/** The address of a server as it was typed, without slashes at its end. @throws UsageError for what is none */
export const serverUrl = (typed: string): string => {
  if (!URL.canParse(typed) || !/^https?:/u.test(typed))
    throw new UsageError(`${typed} is not the URL of a server, such as http://localhost:8008`);
  return typed.replace(/\/+$/u, '');
};

/** Why there was no answer. */
const reasonOf = ({ message, code }: NodeJS.ErrnoException): string => {
  if (code === 'ECONNREFUSED') return 'nothing listens there. Is the server running?';
  if (code === 'ENOTFOUND') return 'there is no host of that name';
  return message === '' ? (code ?? 'no answer') : message;
};

/**
 * One request to the administrator's own server. Its certificate is not checked: it is usually made for the public name, and asked by another.
 * @throws CommandError when there is no answer
 */
export const askJson = (method: 'GET' | 'POST', url: string, body?: unknown, accessToken?: string): Promise<JsonAnswer> =>
  new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(new CommandError(`${new URL(url).origin} cannot be reached: ${reasonOf(error)}`));
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
