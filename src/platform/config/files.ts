import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { LineCounter, isMap as isYamlMap, isScalar, isSeq, parseDocument, type Tags } from 'yaml';
import { isMap, type RawMap } from '#src/platform/config/blocks.ts';
import type { Findings, Origin } from '#src/platform/config/place.ts';

/** The merged content of all files, and where each value stood. */
export interface FileContent {
  readonly values: RawMap;
  readonly origins: ReadonlyMap<string, Origin>;
  /** The folder of the last file. */
  readonly directory: string;
}

/**
 * YAML 1.1 as Python's reader takes it: `yes`, `no`, `on` and `off` are booleans, but `y` and `n` are text; a date stays text here,
 * because every key that takes one takes text.
 */
const likePython = (tags: Tags): Tags =>
  tags
    .filter((tag) => typeof tag === 'string' || tag.tag !== 'tag:yaml.org,2002:timestamp')
    .map((tag) => {
      if (typeof tag === 'string' || tag.tag !== 'tag:yaml.org,2002:bool' || !('test' in tag) || tag.test === undefined) return tag;
      return Object.assign({}, tag, { test: new RegExp(tag.test.source.replace(/Y\|y\||N\|n\|/u, ''), 'u') });
    });

const collectOrigins = (text: string, file: string, contents: unknown, counter: LineCounter): Map<string, Origin> => {
  const origins = new Map<string, Origin>();
  const visit = (node: unknown, path: string, line: number): void => {
    const source = isScalar(node) && typeof node.source === 'string' ? node.source : undefined;
    if (path !== '') origins.set(path, { file, line, source });
    if (isYamlMap(node)) {
      for (const pair of node.items) {
        if (!isScalar(pair.key)) continue;
        const name = String(pair.key.value);
        const start = pair.key.range?.[0];
        visit(pair.value, path === '' ? name : `${path}.${name}`, start === undefined ? line : counter.linePos(start).line);
      }
    } else if (isSeq(node)) {
      for (const [index, item] of node.items.entries()) {
        const start = isYamlMap(item) || isScalar(item) || isSeq(item) ? item.range?.[0] : undefined;
        visit(item, `${path}[${String(index)}]`, start === undefined ? line : counter.linePos(start).line);
      }
    }
  };
  if (text !== '') visit(contents, '', 1);
  return origins;
};

/** One YAML file; a fault for what is not YAML. */
const readYaml = (file: string, findings: Findings): { value: unknown; origins: Map<string, Origin> } | undefined => {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    findings.faults.push(`${file}: cannot be read: ${(error as Error).message}`);
    return undefined;
  }
  const counter = new LineCounter();
  const document = parseDocument(text, {
    version: '1.1',
    lineCounter: counter,
    uniqueKeys: false,
    customTags: likePython,
    prettyErrors: false,
  });
  for (const error of document.errors) {
    findings.faults.push(`${file}:${String(counter.linePos(error.pos[0]).line)}: is not valid YAML: ${error.message}`);
  }
  if (document.errors.length > 0) return undefined;
  return { value: document.toJS() as unknown, origins: collectOrigins(text, file, document.contents, counter) };
};

/** Files as they are, folders as their `*.yaml` in sorted order. */
const expand = (paths: readonly string[], cwd: string, findings: Findings): string[] =>
  paths.flatMap((path) => {
    const absolute = resolve(cwd, path);
    if (statSync(absolute, { throwIfNoEntry: false })?.isDirectory() !== true) return [absolute];
    const entries = readdirSync(absolute, { withFileTypes: true }).toSorted((a, b) => (a.name < b.name ? -1 : 1));
    return entries.flatMap((entry) => {
      const file = join(absolute, entry.name);
      if (entry.name.endsWith('.yaml') && statSync(file, { throwIfNoEntry: false })?.isFile() === true) return [file];
      findings.warnings.push(`${file}: is skipped, because it is not a file with a name in .yaml`);
      return [];
    });
  });

/** Reads and merges configuration files. A top-level key of a later file replaces the whole value of an earlier one. */
export const readFiles = (paths: readonly string[], cwd: string, findings: Findings): FileContent => {
  const values: Record<string, unknown> = {};
  const origins = new Map<string, Origin>();
  const files = expand(paths, cwd, findings);
  for (const file of files) {
    const content = readYaml(file, findings);
    if (content === undefined) continue;
    if (!isMap(content.value)) {
      findings.warnings.push(`${file}: is skipped, because it does not hold a map`);
      continue;
    }
    for (const [name, value] of Object.entries(content.value)) {
      values[name] = value;
      for (const path of origins.keys())
        if (path === name || path.startsWith(`${name}.`) || path.startsWith(`${name}[`)) origins.delete(path);
    }
    for (const [path, origin] of content.origins) origins.set(path, origin);
  }
  const last = files.at(-1);
  return { values, origins, directory: last === undefined ? cwd : dirname(last) };
};
