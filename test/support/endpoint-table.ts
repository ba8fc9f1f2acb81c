import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createClient, type Json, ok } from './client.ts';
import { problemsWith } from './openapi.ts';
import type { Server } from './server.ts';
import { describeShape } from './shape.ts';

/** One request of a table, with the answers that are known. */
interface Row {
  readonly line: number;
  /** Who asks, the method, the path and the body, and before them what to keep of the answer. */
  readonly request: string;
  /** What Synapse answers. */
  readonly synapse: string | undefined;
  /** What Myelin answers on purpose instead, and why. */
  readonly myelin: { readonly answer: string; readonly reason: string } | undefined;
}

/** A file of requests, in the order in which they are made. */
export interface EndpointTable {
  readonly path: string;
  /** Settings that this table's server needs, from its first line `with {…}`; tables without share a server. */
  readonly settings: Json | undefined;
  readonly rows: readonly Row[];
}

const MYELIN = /^ {2}Myelin: (?<answer>.*?) # (?<reason>.+)$/u;

export const readTable = (path: string): EndpointTable => {
  const lines = readFileSync(path, 'utf8').split('\n');
  const rows: Row[] = [];
  let settings: Json | undefined;
  for (const [index, line] of lines.entries()) {
    const last = rows.at(-1);
    const difference = MYELIN.exec(line)?.groups as { answer: string; reason: string } | undefined;
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('with ')) settings = JSON.parse(line.slice(5)) as Json;
    else if (!line.startsWith('  ')) rows.push({ line: index + 1, request: line, synapse: undefined, myelin: undefined });
    else if (last === undefined) throw new Error(`${path}:${String(index + 1)}: an answer without a request`);
    else if (difference) rows[rows.length - 1] = { ...last, myelin: difference };
    else if (last.synapse === undefined) rows[rows.length - 1] = { ...last, synapse: line.trim() };
    else throw new Error(`${path}:${String(index + 1)}: not 'Myelin: ANSWER # REASON'`);
  }
  return { path, settings, rows };
};

const REQUEST = /^(?:(?<name>\w+)=(?<field>\w+) <- )?(?<who>\S+) (?<method>[A-Z]+) (?<path>\S+)(?: (?<body>.+))?$/u;

type Fields = Readonly<Record<string, unknown>>;

/** What Synapse adds to what the specification says, and Myelin leaves out: which objects, and their members. */
const ADDED_BY_SYNAPSE: readonly { readonly isIn: (object: Fields) => boolean; readonly names: readonly string[] }[] = [
  // Events of the first version of the API had these beside `content`; they are in `unsigned` since.
  {
    isIn: (object) => 'event_id' in object && 'origin_server_ts' in object,
    names: ['age', 'prev_content', 'prev_sender', 'replaces_state', 'user_id'],
  },
  // Whose device it is, is known to who asks; what is not known is left out instead of `null`, as the schema wants it.
  {
    isIn: (object) => 'device_id' in object && 'last_seen_ts' in object,
    names: ['user_id', 'display_name', 'last_seen_ip', 'last_seen_ts'],
  },
  // Who is present depends on the time. The other is from before the specification had the name.
  {
    isIn: (object) => 'device_one_time_keys_count' in object,
    names: ['presence', 'org.matrix.msc2732.device_unused_fallback_key_types'],
  },
  // A kind of rules that a proposal adds.
  { isIn: (object) => 'override' in object && 'underride' in object, names: ['postcontent'] },
];

/** Who is present, and when somebody is seen, depends on the time. */
const isPresence = (value: unknown): boolean => typeof value === 'object' && value !== null && (value as Fields)['type'] === 'm.presence';

const withoutAdded = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.filter((each) => !isPresence(each)).map(withoutAdded);
  const object = value as Fields;
  const added = new Set(ADDED_BY_SYNAPSE.filter(({ isIn }) => isIn(object)).flatMap(({ names }) => names));
  return Object.fromEntries(
    Object.entries(object)
      .filter(([name]) => !added.has(name))
      .map(([name, inner]) => [name, withoutAdded(inner)]),
  );
};

/** Makes a table's requests, in the names of people of its own. */
const createCaller = (server: Server, prefix: string) => {
  const known = new Map<string, string>();
  const tokens = new Map<string, string>();

  /** `<alice>` is the user's id, `<x*300>` a long text, `<%room>` what was kept, for a path. */
  const fill = (text: string): string =>
    text
      .replaceAll(/<(.)\*(\d+)>/gu, (_, letter: string, count: string) => letter.repeat(Number(count)))
      .replaceAll(/<(%?)(\w+)>/gu, (_, encoded: string, name: string) => {
        const value = known.get(name) ?? (name === 'server' ? server.name : name === 'p' ? prefix : `@${prefix}-${name}:${server.name}`);
        return encoded === '' ? value : encodeURIComponent(value);
      });

  const tokenOf = async (who: string): Promise<string | undefined> => {
    if (who === 'nobody') return undefined;
    if (who === 'stranger') return 'unknown_token';
    if (who.startsWith('token:')) return known.get(who.slice(6)) ?? assert.fail(`${who} was not kept`);
    const found = tokens.get(who);
    if (found !== undefined) return found;
    if (who.startsWith('guest')) {
      const guest = ok(await createClient(server.pool).post<{ access_token: string; user_id: string }>('/register?kind=guest', {}));
      known.set(who, guest.user_id);
      tokens.set(who, guest.access_token);
    } else tokens.set(who, (await server.register(`${prefix}-${who}`)).accessToken);
    return tokens.get(who);
  };

  const describe = (status: number, type: string, text: string): string => {
    if (!type.startsWith('application/json')) return `${String(status)} ${type.replace(/;.*/, '') || 'nothing'}`;
    const body = JSON.parse(text) as unknown;
    if (status < 400 || typeof body !== 'object' || body === null || !('errcode' in body))
      return `${String(status)} ${describeShape(withoutAdded(body))}`;
    const { errcode, error: _, ...rest } = body as Json;
    return `${String(status)} ${String(errcode)}${Object.keys(rest).length === 0 ? '' : ` ${describeShape(rest)}`}`;
  };

  return async (request: string): Promise<{ answer: string; problems: readonly string[] }> => {
    const groups = REQUEST.exec(request)?.groups;
    if (groups === undefined) throw new Error(`not a request: ${request}`);
    const { name, field, who = '', method = '' } = groups;
    const token = await tokenOf(who);
    const filled = fill(groups['path'] ?? '');
    const path = /^\/[_.]/.test(filled) ? filled : `/_matrix/client/v3${filled}`;
    const response = await server.pool.request({
      method,
      path,
      headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), 'content-type': 'application/json' },
      ...(groups['body'] !== undefined && { body: fill(groups['body']) }),
    });
    const text = await response.body.text();
    const type = String(response.headers['content-type'] ?? '');
    if (name !== undefined && field !== undefined) known.set(name, String((JSON.parse(text) as Json)[field]));
    const isJson = type.startsWith('application/json');
    return {
      answer: describe(response.statusCode, type, text),
      // Where the specification has the body of interactive authentication for a 401, it does not say what a bad token is answered.
      problems:
        isJson && !text.includes('_TOKEN"') ? problemsWith(method, path.replace(/\?.*/, ''), response.statusCode, JSON.parse(text)) : [],
    };
  };
};

/** What is different from the table in the answers of a server, in words: from Synapse's answers, or from those that Myelin is to give. */
export const differences = async (table: EndpointTable, server: Server, program: 'myelin' | 'synapse'): Promise<readonly string[]> => {
  const call = createCaller(server, table.path.replace(/^.*\/|\.\w+$/g, ''));
  const found: string[] = [];
  for (const { line, request, synapse, myelin } of table.rows) {
    const expected = program === 'myelin' ? (myelin?.answer ?? synapse) : synapse;
    const { answer, problems } = await call(request);
    if (answer !== expected)
      found.push(`${String(line)}: ${request.slice(0, 200)}\n    expected ${expected ?? 'nothing'}\n    got      ${answer}`);
    if (program === 'myelin') found.push(...problems.map((problem) => `${String(line)}: ${request.slice(0, 200)}\n    ${problem}`));
  }
  return found;
};

/** Writes Synapse's answers into a table. */
export const record = async (table: EndpointTable, synapse: Server): Promise<void> => {
  const call = createCaller(synapse, table.path.replace(/^.*\/|\.\w+$/g, ''));
  const answers = new Map<number, string>();
  for (const { line, request } of table.rows) answers.set(line, (await call(request)).answer);
  const lines = readFileSync(table.path, 'utf8').split('\n');
  const kept = lines.flatMap((line, index) => {
    const answer = answers.get(index + 1);
    if (answer !== undefined) return [line, `  ${answer}`];
    return line.startsWith('  ') && !MYELIN.test(line) ? [] : [line];
  });
  writeFileSync(table.path, kept.join('\n'));
};
