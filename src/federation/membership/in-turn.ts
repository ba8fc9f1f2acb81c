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

const told = (server: string, fault: Fault): string =>
  fault instanceof FederationError ? fault.message : `${server}: ${fault.errcode} ${fault.message}`;

/** Which servers are asked, and for how long. */
export interface Candidates {
  /** In the order in which they are asked, each once. */
  readonly servers: readonly string[];
  /** Whether nobody has named them: that none of them answers says no more than that the room is not known. */
  readonly areGuessed: boolean;
}

/**
 * Asks one server after another until one does what is asked. Throws the weightiest of what they have against it, with what all of them said; `notFound` where there is
 * nobody to ask. What is no word of a server (`MatrixError` other than those of `isServers`) is thrown at once.
 */
export const askInTurn = async <T>(
  { servers, areGuessed }: Candidates,
  what: string,
  { isOver, isServers }: { readonly isOver: () => boolean; readonly isServers: (error: MatrixError) => boolean },
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
