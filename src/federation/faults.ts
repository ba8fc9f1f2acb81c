import { MatrixError, forbidden } from '#src/protocol/errors.ts';

/**
 * Why another server did not do what it was asked: it could not be reached (`unreachable`), is left alone for a while because it could not be
 * (`backing-off`), answered with an error (`refused`), or with something else than the specification says (`nonsense`).
 */
export type FederationFault = 'unreachable' | 'backing-off' | 'refused' | 'nonsense';

interface Refusal {
  readonly status: number;
  readonly errcode: string;
  readonly error: string;
}

/** A request to another server that came to nothing. */
export class FederationError extends Error {
  override readonly name = 'FederationError';
  readonly fault: FederationFault;
  readonly destination: string;
  /** What the server answered, where it did. */
  readonly refusal: Refusal | undefined;
  constructor(
    fault: FederationFault,
    destination: string,
    message: string,
    { cause, refusal }: { cause?: unknown; refusal?: Refusal } = {},
  ) {
    super(message, { cause });
    this.fault = fault;
    this.destination = destination;
    this.refusal = refusal;
  }
}

/** Whether the server does not know the endpoint: as servers say it now, and as they did before there was a word for it. */
export const isUnrecognised = ({ refusal }: FederationError): boolean =>
  refusal !== undefined &&
  (([400, 404, 405].includes(refusal.status) && refusal.errcode === 'M_UNRECOGNIZED') ||
    ([404, 405].includes(refusal.status) && refusal.errcode === 'M_UNKNOWN' && refusal.error === `HTTP ${String(refusal.status)}`));

/** By these a client learns something of its own session or account, which no other server has a word on: some log out whatever the status is. */
const OWN_SERVERS_WORDS: ReadonlySet<string> = new Set([
  'M_UNKNOWN_TOKEN',
  'M_MISSING_TOKEN',
  'M_USER_DEACTIVATED',
  'M_USER_LOCKED',
  'M_USER_SUSPENDED',
  'M_CONSENT_NOT_GIVEN',
  'M_GUEST_ACCESS_FORBIDDEN',
  'M_LIMIT_EXCEEDED',
  'M_RESOURCE_LIMIT_EXCEEDED',
]);

/**
 * What a local client is told: what the other server has against it, else that the server did not answer. An error about tokens would be taken for one
 * about the client's own.
 */
export const asClientError = ({ refusal, destination }: FederationError): MatrixError => {
  const isClients = refusal !== undefined && refusal.status >= 400 && refusal.status < 500 && ![401, 429].includes(refusal.status);
  if (!isClients) return new MatrixError(502, 'M_UNKNOWN', `Failed to contact ${destination}`);
  return new MatrixError(refusal.status, OWN_SERVERS_WORDS.has(refusal.errcode) ? 'M_UNKNOWN' : refusal.errcode, refusal.error);
};

/** The answer for servers that are not on the whitelist. */
export const federationDenied = (serverName: string): MatrixError => forbidden(`Federation denied with ${serverName}.`);
