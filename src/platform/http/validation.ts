import type { MatrixError } from '#src/protocol/errors.ts';
import { badJson, invalidParam, missingParam } from '#src/protocol/errors.ts';
import { compile } from '#src/platform/schema.ts';
import type { Checker, Schema, Violation } from '#src/platform/schema.ts';
import type { IncomingRequest, Route } from './route.ts';

/** What a route's schemas do to a request. */
export interface Checks {
  /** Converts and checks the query; unknown parameters are left out. */
  readonly query: (raw: IncomingRequest['query']) => unknown;
  /** Checks a parsed body; answers nothing, for nothing is changed. */
  readonly body: (value: unknown) => void;
  /** A request without a body counts as `{}`. */
  readonly isBodyOptional: boolean;
}

/** `/content/a~1b` → `content.a/b` */
const dotted = (pointer: string): string =>
  pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .join('.');

const MAX_SENTENCE = 200;

const shorten = (text: string): string => (text.length > MAX_SENTENCE ? `${text.slice(0, MAX_SENTENCE)}…` : text);

/** Values of `const` violations at one place read as a choice. */
const choices = (violations: readonly Violation[], at: string): string | undefined => {
  const allowed = violations.flatMap((one) =>
    one.instancePath === at && one.keyword === 'const' ? [(one.params as { allowedValue?: unknown }).allowedValue] : [],
  );
  return allowed.length > 1 ? `must be one of ${allowed.map((value) => JSON.stringify(value)).join(', ')}` : undefined;
};

interface Wording {
  readonly missing: (key: string) => string;
  readonly wrong: (message: string) => MatrixError;
  readonly whole: string;
}

const BODY: Wording = {
  missing: (key) => `Missing required key: ${key}`,
  wrong: badJson,
  whole: 'Content must be a JSON object.',
};

const QUERY: Wording = {
  missing: (key) => `Missing required query parameter: ${key}`,
  wrong: invalidParam,
  whole: 'The query is malformed.',
};

const explain = (violations: readonly Violation[], wording: Wording): MatrixError => {
  const missing = violations.find((one) => one.keyword === 'required');
  if (missing !== undefined) {
    const [key = ''] = (missing.params as { requiredProperties?: readonly string[] }).requiredProperties ?? [];
    const path = missing.instancePath === '' ? key : `${dotted(missing.instancePath)}.${key}`;
    return missingParam(shorten(wording.missing(path)));
  }
  const first = violations[0];
  if (first === undefined || first.instancePath === '') return wording.wrong(wording.whole);
  return wording.wrong(shorten(`'${dotted(first.instancePath)}' ${choices(violations, first.instancePath) ?? first.message}`));
};

type Convert = (name: string, value: string | string[]) => unknown;

const first = (value: string | string[]): string => (typeof value === 'string' ? value : (value[0] ?? ''));

const toInteger: Convert = (name, value) => {
  const text = first(value).trim();
  if (!/^[+-]?\d+$/.test(text)) throw invalidParam(`Query parameter '${name}' must be an integer`);
  return Number(text);
};

const toNumber: Convert = (name, value) => {
  const text = first(value).trim();
  const number = Number(text);
  if (text === '' || !Number.isFinite(number)) throw invalidParam(`Query parameter '${name}' must be a number`);
  return number;
};

const toBoolean: Convert = (name, value) => {
  const text = first(value);
  if (text === 'true') return true;
  if (text === 'false') return false;
  throw invalidParam(`Boolean query parameter '${name}' must be one of ['true', 'false']`);
};

const toText: Convert = (_name, value) => first(value);

const SCALARS: ReadonlyMap<string | undefined, Convert> = new Map([
  ['integer', toInteger],
  ['number', toNumber],
  ['boolean', toBoolean],
]);

const converterFor = ({ type, items }: Schema): Convert => {
  if (type !== 'array') return SCALARS.get(type) ?? toText;
  const each = items === undefined ? toText : converterFor(items);
  return (name, value) => (typeof value === 'string' ? [value] : value).map((one) => each(name, one));
};

const queryCheck = (schema: Schema, checker: Checker): Checks['query'] => {
  const converters = Object.entries(schema.properties ?? {}).map(([name, property]) => [name, converterFor(property)] as const);
  return (raw) => {
    const query: Record<string, unknown> = {};
    for (const [name, convert] of converters) {
      const value = raw[name];
      if (value !== undefined) query[name] = convert(name, value);
    }
    if (!checker.check(query)) throw explain(checker.violations(query), QUERY);
    return query;
  };
};

/** Compiles a route's schemas. */
export const compileChecks = async (route: Route): Promise<Checks> => {
  const query = route.query === undefined ? undefined : queryCheck(route.query, await compile(route.query));
  const body = route.body === undefined ? undefined : await compile(route.body);
  return {
    query: query ?? ((raw) => raw),
    body: (value) => {
      if (body !== undefined && !body.check(value)) throw explain(body.violations(value), BODY);
    },
    isBodyOptional: route.body?.isOptional === true,
  };
};
