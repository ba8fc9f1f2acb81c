import { actsSomewhere } from '#src/platform/config/blocks.ts';
import type { Key, Keys } from '#src/platform/config/kinds.ts';
import { sections } from '#src/platform/config/sections/index.ts';

const INTRODUCTION = `\
# Configuration

Myelin reads Synapse's \`homeserver.yaml\` as it is. This page lists every key. It is generated from the sources
(\`scripts/generate-config-docs.ts\`), where each key stands with its default, its rule and its sentence; [the sample](homeserver.sample.yaml)
is made of the same.

**Files.** \`--config-path\` may be repeated and may name folders, whose \`*.yaml\` files are read in sorted order. A top-level key of a later file
replaces the whole value of an earlier one. Relative paths start from the working directory. The format is YAML 1.1: \`yes\`, \`no\`, \`on\` and
\`off\` are booleans.

**Units.** Durations are milliseconds, or a number with \`s\`, \`m\`, \`h\`, \`d\`, \`w\` or \`y\` (365 days). Sizes are bytes, or a number with \`K\`, \`M\`,
\`G\` or \`T\` (powers of 1024). A rate limit is \`{per_second: 0.2, burst_count: 10}\`.

**Faults.** A wrong value stops the start. All faults are shown at once, one a line, with file, line, key, what was found and what is allowed. An
unknown key is a warning, with the nearest known name. Synapse's reasons to refuse a configuration are Myelin's as well.

**Marks.** Keys marked ○ are known and checked, but Myelin does not act on them yet; those that are set are listed in the log at each start.
`;

/** "a duration such as 30s, …" is explained once, above. */
const shortRule = (rule: string): string => rule.replace(/ such as .*?(?=,? or null$|$)/u, '');

const facts = ({ kind }: Key): string => {
  if (kind.rule === 'left out') return '';
  if (kind.required === true) return ` (${shortRule(kind.rule)}; required)`;
  const shown = kind.shown === '' || kind.shown === 'null' ? '' : `; default \`${kind.shown}\``;
  return ` (${shortRule(kind.rule)}${shown})`;
};

const describeKeys = (keys: Keys, lines: string[], indent = '', prefix = '', marks = true): string[] => {
  for (const [name, entry] of Object.entries(keys)) {
    const { children = {}, rule, step = '.' } = entry.kind;
    const isMarked = marks && !actsSomewhere(entry) && rule !== 'left out';
    lines.push(`${indent}- ${isMarked ? '○ ' : ''}**\`${prefix}${name}\`**${facts(entry)}: ${entry.text}`);
    // What is in a marked block needs no marks of its own, and neither does what its block vouches for.
    describeKeys(children, lines, `${indent}  `, step === '.<name>.' ? '<name>.' : '', marks && !isMarked && !entry.acts);
  }
  return lines;
};

/** docs/configuration.md */
export const configManual = (): string =>
  [INTRODUCTION, ...sections.map(({ title, keys }) => `## ${title}\n\n${describeKeys(keys, []).join('\n')}\n`)].join('\n');

const SAMPLE_HEAD = `\
# Every key with its default, for looking things up; not to be used as it is. It is generated, as configuration.md is.
# For a configuration of your own run: bin/myelin --generate-config -c homeserver.yaml -H example.com --report-stats=no
`;

const sampleLines = (keys: Keys, lines: string[], indent = ''): string[] => {
  for (const [name, { kind, text }] of Object.entries(keys)) {
    if (kind.rule === 'left out') continue;
    lines.push(`${indent}# ${text}`, `${indent}${name}:${kind.shown === '' ? '' : ` ${kind.shown}`}`);
    if (kind.shown === '') sampleLines(kind.children ?? {}, lines, `${indent}  `);
  }
  return lines;
};

/** docs/homeserver.sample.yaml: every key commented out. Lines that start with `#` and a single space are words, all others are keys. */
export const configSample = (): string => {
  const parts = sections.map(({ title, keys }) => {
    const lines = sampleLines(keys, []).map((line) => (line.startsWith('# ') ? line : `#${line}`));
    return `# ## ${title}\n\n${lines.join('\n')}\n`;
  });
  return [SAMPLE_HEAD, ...parts].join('\n');
};
