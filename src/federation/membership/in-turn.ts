import type { Logger } from '#src/platform/logging/index.ts';
import { MatrixError, notFound } from '#src/protocol/errors.ts';
import { asClientError, FederationError, isUnrecognised } from '#src/federation/faults.ts';

/** Why a server did not do it. */
type Fault = FederationError | MatrixError;

/** The weight of what servers have against it: the heaviest is what the user is told. Further words about a room count for more than that a server is not in it. */
const WEIGHTS: readonly string[] = [
  'M_FORBIDDEN',
  'M_INCOMPATIBLE_ROOM_VERSION',
  'M_UNABLE_TO_GRANT_JOIN',
  'M_UNABLE_TO_AUTHORISE_JOIN',
  'another',
  'M_NOT_FOUND',
  'none',
];

const asMatrixError = (fault: Fault): MatrixError => (fault instanceof MatrixError ? fault : asClientError(fault));

const weightOf = (fault: Fault): number => {
  // Who does not know the question has no answer.
  if (fault instanceof FederationError && isUnrecognised(fault)) return WEIGHTS.indexOf('none');
  const { status, errcode } = asMatrixError(fault);
  if (status >= 500) return WEIGHTS.indexOf('none');
  if (status === 404) return WEIGHTS.indexOf('M_NOT_FOUND');
  const weight = WEIGHTS.indexOf(errcode);
  return weight === -1 ? WEIGHTS.indexOf('another') : weight;
};

/** What a user is told of a server; of one that does not answer not why: where it is and what stands there is for the log. */
const told = (server: string, fault: Fault): string => {
  if (fault instanceof MatrixError) return `${server}: ${fault.errcode} ${fault.message}`;
  return fault.fault === 'unreachable' || fault.fault === 'backing-off' ? `${server} does not answer` : fault.message;
};

/** Which servers are asked, and for how long. */
export interface Candidates {
  /** In the order in which they are asked, each once. */
  readonly servers: readonly string[];
  /** Whether nobody has named them: that none of them answers says no more than that the room is not known. */
  readonly areGuessed: boolean;
}

/** How far it is gone. */
export interface Bounds {
  /** Whether no further server is to be asked. */
  readonly isOver: () => boolean;
  /** Whether an error is a server's word about the room or the user, and so another server may say otherwise. */
  readonly isServers: (error: MatrixError) => boolean;
  readonly log: Logger;
}

/**
 * Asks one server after another until one does what is asked. Throws the weightiest of what they have against it, with what all of them said; `notFound` where there is
 * nobody to ask. What is no word of a server (`MatrixError` other than those of `isServers`) is thrown at once.
 */
export const askInTurn = async <T>(
  { servers, areGuessed }: Candidates,
  what: string,
  { isOver, isServers, log }: Bounds,
  ask: (server: string) => Promise<T>,
): Promise<T> => {
  const faults: { server: string; fault: Fault }[] = [];
  for (const server of servers) {
    if (faults.length > 0 && isOver()) break;
    try {
      return await ask(server);
    } catch (error) {
      const isTheirs = error instanceof FederationError || (error instanceof MatrixError && isServers(error));
      if (!isTheirs) throw error;
      log.info(`Can't ${what} by way of ${server}: ${error.message}`);
      faults.push({ server, fault: error });
    }
  }
  const [first] = faults.toSorted((a, b) => weightOf(a.fault) - weightOf(b.fault));
  if (first === undefined) throw notFound(`Can't ${what}: no server is known that is in it`);
  const all = `Can't ${what}: ${faults.map(({ server, fault }) => told(server, fault)).join('; ')}`;
  if (weightOf(first.fault) === WEIGHTS.indexOf('none')) throw areGuessed ? notFound(all) : new MatrixError(502, 'M_UNKNOWN', all);
  const heaviest = asMatrixError(first.fault);
  throw new MatrixError(heaviest.status, heaviest.errcode, all, heaviest.fields);
};
