import { missingToken } from '#src/protocol/errors.ts';
import type { IncomingRequest } from './route.ts';

/** The access token of a request that may do without; `undefined` when it brings none. Malformed ones throw as in `accessToken`. */
export const optionalAccessToken = (request: IncomingRequest): string | undefined => {
  const { authorization } = request.headers;
  const parameter = request.query['access_token'];
  if (authorization === undefined) return typeof parameter === 'string' ? parameter : parameter?.[0];
  if (parameter !== undefined) throw missingToken('Mixing Authorization headers and access_token query parameters.');
  if (typeof authorization !== 'string') throw missingToken('Too many Authorization headers.');
  if (!/^Bearer [^ ]+$/.test(authorization)) {
    throw missingToken('Invalid Authorization header.');
  }
  return authorization.slice(7);
};

/**
 * The access token, from `Authorization: Bearer` or, as older clients do, `?access_token=`.
 * @throws MatrixError M_MISSING_TOKEN when there is none, or it is malformed, or given in both places
 */
export const accessToken = (request: IncomingRequest): string => {
  const token = optionalAccessToken(request);
  if (token === undefined || token === '') throw missingToken('Missing access token');
  return token;
};

const SECRETS = new Set(['access_token', 'client_secret', 'token', 'loginToken']);

const nameOf = (parameter: string): string => {
  const end = parameter.indexOf('=');
  const name = end === -1 ? parameter : parameter.slice(0, end);
  if (!name.includes('%')) return name;
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
};

/** A URL for the log: without the secrets in its query, however they are spelt. */
export const redactUrl = (url: string): string => {
  const start = url.indexOf('?');
  if (start === -1) return url;
  const query = url.slice(start + 1);
  if (!/token|secret|%/i.test(query)) return url;
  const parameters = query.split('&').map((parameter) => {
    const name = nameOf(parameter);
    return SECRETS.has(name) ? `${name}=<redacted>` : parameter;
  });
  return `${url.slice(0, start)}?${parameters.join('&')}`;
};
