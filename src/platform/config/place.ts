/** Where in the configuration a value stands, and where to report what is wrong with it. */
export interface Place {
  /** Dotted, with indices: `listeners[0].port`. */
  readonly path: string;
  /** The value is not what the key allows. The value is shown unless it may be a secret. */
  fault(found: unknown, rule: string): void;
  /** The value is refused for another reason; `message` says why, and the way out. */
  refuse(message: string): void;
  warn(message: string): void;
  /** The key is known and set, but nothing reads it yet. */
  notActedOn(): void;
  child(name: string | number): Place;
  /** The same place, but silent about keys that are not acted on (because their parent was reported, or vouches for them). */
  quiet(): Place;
  /** A scalar's own text in the file, where there is one: `1.0` is the number 1, but the version "1.0". */
  source(): string | undefined;
  /** Makes a path absolute. */
  resolve(path: string): string;
}

/** What reading a configuration brings to light. */
export interface Findings {
  readonly faults: string[];
  readonly warnings: string[];
  readonly notActedOn: Set<string>;
}

/** Where scalars and maps stood in a file, by dotted path. */
export type Origins = ReadonlyMap<string, Origin>;

export interface Origin {
  readonly file: string;
  readonly line: number;
  readonly source: string | undefined;
}

const LONGEST_SHOWN = 60;

/** A value as a fault shows it: short, on one line; never the content of a map or list. */
const describe = (found: unknown): string => {
  if (Array.isArray(found)) return 'a list';
  if (found instanceof Uint8Array) return 'binary data';
  if (typeof found === 'object' && found !== null) return 'a map';
  const text = JSON.stringify(found) ?? String(found);
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
};

/** Places in one configuration, by what they share. */
interface Survey {
  readonly findings: Findings;
  readonly origins: Origins;
  readonly resolve: (path: string) => string;
}

const placeAt = (survey: Survey, path: string, nearest: Origin | undefined, isLoud: boolean): Place => {
  const { findings, origins, resolve } = survey;
  const own = origins.get(path);
  const origin = own ?? nearest;
  /** `homeserver.yaml:12: rc_message.per_second`, with the line of the nearest parent when the key itself has none. */
  const label = origin === undefined ? path : `${origin.file}:${String(origin.line)}: ${path}`;
  return {
    path,
    fault: (found, rule) => findings.faults.push(`${label}: found ${describe(found)}; must be ${rule}`),
    refuse: (message) => findings.faults.push(`${label}: ${message}`),
    warn: (message) => findings.warnings.push(`${label}: ${message}`),
    notActedOn: () => {
      if (isLoud) findings.notActedOn.add(path.replaceAll(/\[\d+\]/gu, '[]'));
    },
    child: (name) => {
      const step = typeof name === 'number' ? `${path}[${String(name)}]` : path === '' ? name : `${path}.${name}`;
      return placeAt(survey, step, origin, isLoud);
    },
    quiet: () => placeAt(survey, path, nearest, false),
    source: () => own?.source,
    resolve,
  };
};

/** The place of the whole configuration. */
export const rootPlace = (findings: Findings, origins: Origins, resolve: (path: string) => string): Place =>
  placeAt({ findings, origins, resolve }, '', undefined, true);
