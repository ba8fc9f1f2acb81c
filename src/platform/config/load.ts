import { resolve } from 'node:path';
import { readKeys, unknownKey, type RawMap } from '#src/platform/config/blocks.ts';
import { ConfigError } from '#src/platform/config/config-error.ts';
import { derive, type Config } from '#src/platform/config/derive.ts';
import { readFiles, type FileContent } from '#src/platform/config/files.ts';
import type { Parsed } from '#src/platform/config/parsed.ts';
import { rootPlace, type Findings, type Place } from '#src/platform/config/place.ts';
import type { Report } from '#src/platform/config/rules.ts';
import { allKeys, sections } from '#src/platform/config/sections/index.ts';

/** Files and folders as `--config-path` names them, or values as they would stand in a file. */
export type ConfigSources = { readonly paths: readonly string[] } | { readonly values: RawMap };

export interface LoadOptions {
  /** What relative paths are taken from; by default the process's working directory. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Where side files such as the signing key lie; by default the folder of the last file. */
  readonly configDirectory?: string;
  /** Values from the command line, which win over the files. */
  readonly overrides?: RawMap;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Things to mend that do not stop the start. */
  readonly warnings: readonly string[];
  /** Keys that are known and set, but that Myelin does not act on yet. */
  readonly notActedOn: readonly string[];
}

const WAYS_OUT: Readonly<Record<string, string>> = {
  server_name: 'is missing; it is the domain in all user ids, such as example.com (--server-name, when the file is generated)',
  report_stats:
    'is missing; decide whether anonymous statistics may be sent: report_stats: false, or true (--report-stats, when the file is generated)',
};

/** Missing keys that need more words than "is missing". */
const explainMissing = (findings: Findings): string[] =>
  findings.faults.map((fault) => {
    const name = Object.keys(WAYS_OUT).find((candidate) => fault.startsWith(`${candidate}: is missing`));
    return name === undefined ? fault : `${name}: ${WAYS_OUT[name] ?? ''}`;
  });

const createReport = (root: Place, values: RawMap): Report => ({
  at: (path) => {
    const steps = path.match(/[^.[\]]+|\[\d+\]/gu) ?? [];
    return steps.reduce((place, step) => place.child(step.startsWith('[') ? Number(step.slice(1, -1)) : step), root);
  },
  isSet: (name) => values[name] !== undefined && values[name] !== null,
});

/**
 * Reads the configuration: several files merged, every known key checked, what Synapse refuses refused.
 * @throws ConfigError with all faults at once.
 */
export const loadConfig = (sources: ConfigSources, options: LoadOptions = {}): LoadedConfig => {
  const cwd = options.cwd ?? process.cwd();
  const findings: Findings = { faults: [], warnings: [], notActedOn: new Set() };
  const content: FileContent =
    'paths' in sources ? readFiles(sources.paths, cwd, findings) : { values: sources.values, origins: new Map(), directory: cwd };
  // What is missing because its file could not be read is no fault of its own.
  if (findings.faults.length > 0) throw new ConfigError(findings.faults);

  const values = { ...content.values, ...options.overrides };
  const root = rootPlace(findings, content.origins, (path) => resolve(cwd, path));
  const { values: parsed, unknown } = readKeys(allKeys, values, root);
  for (const name of unknown) root.child(name).warn(unknownKey(name, allKeys));

  const report = createReport(root, values);
  const readable = parsed as Parsed;
  for (const { rules } of sections) rules(readable, report);
  const config = derive(readable, report, {
    cwd,
    configDirectory: resolve(cwd, options.configDirectory ?? content.directory),
    env: options.env ?? process.env,
  });
  if (findings.faults.length > 0) throw new ConfigError(explainMissing(findings));
  return { config, warnings: findings.warnings, notActedOn: [...findings.notActedOn] };
};
