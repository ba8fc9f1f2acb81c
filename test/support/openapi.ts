import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Ajv2020, type AnySchemaObject, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { parse } from 'yaml';

/** Where the specification's own files stand, beside a checkout that has them. */
const CLIENT_SERVER = join(import.meta.dirname, '../../../shared/spec/data/api/client-server');
const STANDARD_ERROR = 'definitions/errors/error.yaml';
/** What a 401 says that asks for confirming; not named for each endpoint whose text says that it uses that. */
const AUTH_RESPONSE = 'definitions/auth_response.yaml';

export const SPECIFICATION_MISSING = "the specification's files are not here";
export const hasSpecification = existsSync(CLIENT_SERVER);

interface Operation {
  readonly method: string;
  /** With the base path, as in `/_matrix/client/v3/rooms/{roomId}/leave`. */
  readonly template: string;
  readonly pattern: RegExp;
  readonly file: string;
  /** Where its responses stand in the file, as a JSON pointer. */
  readonly pointer: string;
  readonly responses: Readonly<Record<string, AnySchemaObject>>;
}

interface Document {
  readonly servers?: readonly { readonly variables?: { readonly basePath?: { readonly default: string } } }[];
  readonly paths?: Readonly<Record<string, Readonly<Record<string, { readonly responses: Operation['responses'] }>>>>;
}

/** Where answers leave the specification's schema as other servers' do, for clients (and the public suite) know it so. */
const NULLS: readonly { readonly template: string; readonly at: RegExp }[] = [
  { template: '/_matrix/client/v3/rooms/{roomId}/joined_members', at: /^\/joined\/[^/]+\/(?:display_name|avatar_url)$/ },
];

/** The event stream has typing, receipts, presence and account data among the rooms' events, as the specification's first version said; now it describes only those. */
const EVENT_STREAM = '/_matrix/client/v3/events';

const eventsAlone = (body: unknown): unknown => {
  const { chunk, ...rest } = body as { readonly chunk?: readonly object[] };
  return { ...rest, chunk: chunk?.filter((event) => 'event_id' in event || !('type' in event && 'content' in event)) };
};

const METHODS: ReadonlySet<string> = new Set(['get', 'put', 'post', 'delete']);

const escapePointer = (part: string): string => part.replaceAll('~', '~0').replaceAll('/', '~1');
const pointerTo = (...parts: readonly string[]): string => parts.map((part) => `/${encodeURIComponent(escapePointer(part))}`).join('');

const readYaml = (file: string): unknown => parse(readFileSync(file, 'utf8'));

const patternOf = (template: string): RegExp =>
  new RegExp(
    `^${template
      .split(/\{[^}]*\}/)
      .map((part) => RegExp.escape(part))
      .join('[^/]+')}$`,
  );

const operationsIn = (file: string): Operation[] => {
  const document = readYaml(file) as Document;
  const base = document.servers?.[0]?.variables?.basePath?.default ?? '';
  return Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([method]) => METHODS.has(method))
      .map(([method, { responses }]) => ({
        method: method.toUpperCase(),
        template: (base + path).trim(),
        pattern: patternOf((base + path).trim()),
        file,
        pointer: pointerTo('paths', path, method, 'responses'),
        responses,
      })),
  );
};

/** All `$ref`s below a value. */
const references = (value: unknown): string[] => {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => (key === '$ref' && typeof inner === 'string' ? [inner] : references(inner)));
};

const createSpecification = () => {
  const ajv = new Ajv2020({ strict: false, validateSchema: false, validateFormats: false, allErrors: true, verbose: true, logger: false });
  const loaded = new Set<string>();
  const validators = new Map<string, ValidateFunction>();
  const operations = readdirSync(CLIENT_SERVER)
    .filter((name) => name.endsWith('.yaml'))
    .flatMap((name) => operationsIn(join(CLIENT_SERVER, name)))
    // A path without parameters wins over one whose parameter would take its last part.
    .toSorted((a, b) => a.template.split('{').length - b.template.split('{').length);

  const load = (url: string): void => {
    if (loaded.has(url)) return;
    loaded.add(url);
    const document = readYaml(fileURLToPath(url)) as AnySchemaObject;
    for (const reference of references(document)) load(new URL(reference, url).href.replace(/#.*/, ''));
    ajv.addSchema({ ...document, $id: url }, url);
  };

  const validatorAt = (file: string, pointer: string): ValidateFunction => {
    const url = pathToFileURL(file).href;
    const reference = `${url}#${pointer}`;
    const found = validators.get(reference);
    if (found) return found;
    load(url);
    const made = ajv.compile({ $ref: reference });
    validators.set(reference, made);
    return made;
  };

  const validatorFor = (operation: Operation | undefined, status: number, body: unknown): ValidateFunction | undefined => {
    const described = operation?.responses[String(status)];
    if (operation && described?.['content']) {
      return validatorAt(operation.file, operation.pointer + pointerTo(String(status), 'content', 'application/json', 'schema'));
    }
    const isInteractive = status === 401 && typeof body === 'object' && body !== null && 'flows' in body;
    return status >= 400 ? validatorAt(join(CLIENT_SERVER, isInteractive ? AUTH_RESPONSE : STANDARD_ERROR), '') : undefined;
  };

  return {
    operations,
    /** What is wrong with an answer, in words; nothing for a path that the specification does not know. */
    problems: (method: string, path: string, status: number, body: unknown): string[] => {
      const operation = operations.find((each) => each.method === method && each.pattern.test(path));
      if (!operation) return [];
      const validate = validatorFor(operation, status, body);
      if (!validate) {
        return operation.responses[String(status)] ? [] : [`${operation.template} does not know the status ${String(status)}`];
      }
      const described = operation?.template === EVENT_STREAM && status === 200 ? eventsAlone(body) : body;
      if (validate(described)) return [];
      const isKnown = ({ instancePath, data }: ErrorObject): boolean =>
        data === null && NULLS.some(({ template, at }) => template === operation?.template && at.test(instancePath));
      return (validate.errors ?? [])
        .filter((error) => !isKnown(error))
        .map(({ instancePath, message }) => `${instancePath || '/'} ${message ?? 'is wrong'}`);
    },
  };
};

let specification: ReturnType<typeof createSpecification> | undefined;

/** Holds an answer against the specification's schema of it; what is wrong, in words. Without the specification's files nothing is. */
export const problemsWith = (method: string, path: string, status: number, body: unknown): string[] => {
  if (!hasSpecification) return [];
  specification ??= createSpecification();
  return specification.problems(method, path, status, body);
};

/** Method and path template of all endpoints that the specification knows, as in `/_matrix/client/v3/rooms/{roomId}/leave`. */
export const specifiedEndpoints = (): { method: string; template: string }[] => {
  specification ??= createSpecification();
  return specification.operations.map(({ method, template }) => ({ method, template }));
};
