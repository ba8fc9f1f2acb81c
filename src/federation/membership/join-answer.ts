import { setImmediate } from 'node:timers/promises';
import { MatrixError } from '#src/protocol/errors.ts';
import { isJsonObject, type JsonObject, parseLosslessJson } from '#src/protocol/json.ts';
import { jsonPieces } from '#src/protocol/json-pieces.ts';
import { FederationError } from '#src/federation/faults.ts';

/** What a server tells that has let somebody in (server-server API, `send_join`): events as texts, of which each is still to be read. */
export interface JoinAnswer {
  readonly state: readonly string[];
  readonly authChain: readonly string[];
  /** The join as the server has signed it, where it says so. */
  readonly event: JsonObject | undefined;
}

/** Reads the answer to a join, which may be as large as a room, piece by piece. Throws `FederationError` for what is none. */
export const readJoinAnswer = async (server: string, text: string): Promise<JoinAnswer> => {
  const nonsense = (why: string): FederationError => new FederationError('nonsense', server, `${server}: its answer to the join ${why}`);
  try {
    const cutting = jsonPieces(text);
    let step = cutting.next();
    for (; step.done !== true; step = cutting.next()) await setImmediate();
    const pieces = step.value;
    const listOf = (name: string): readonly string[] => {
      const list = pieces.get(name);
      if (list === undefined || typeof list === 'string') throw nonsense(`has no list ${name}`);
      return list;
    };
    if (pieces.get('members_omitted') === 'true') throw nonsense('leaves members out, which was not asked for');
    const state = listOf('state');
    const told = new Set(state);
    const echoed = pieces.get('event');
    const event = typeof echoed === 'string' ? parseLosslessJson(echoed) : undefined;
    return { state, authChain: listOf('auth_chain').filter((each) => !told.has(each)), event: isJsonObject(event) ? event : undefined };
  } catch (error) {
    throw error instanceof MatrixError ? nonsense(`cannot be read: ${error.message}`) : error;
  }
};
