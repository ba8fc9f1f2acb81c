// npm run npm -- install NAME: npm on the pinned runtime, so that versions are chosen for it, and a lockfile that suits every platform.
// npm leaves packages for other platforms out of the lockfile where its registry cannot deliver them at that moment, and `npm ci`
// then refuses the lockfile. What is left out is known all the same: the packages that want them say their names and exact versions.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LOCKFILE = join(import.meta.dirname, '../package-lock.json');

interface Package {
  readonly version?: string;
  readonly cpu?: readonly string[];
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface Lockfile {
  readonly packages: Readonly<Record<string, Package>>;
}

/** `@oxlint/binding-win32-x64-msvc` is for win32 on x64. */
const platformOf = (name: string): { os: string; cpu: string } | undefined => {
  const [, os, cpu] = /(android|darwin|freebsd|linux|openharmony|win32)-([a-z0-9]+)/.exec(name) ?? [];
  return os === undefined || cpu === undefined ? undefined : { os, cpu };
};

const leftOut = ({ packages }: Lockfile): [string, Package][] => {
  const wanted = Object.values(packages).flatMap(({ dev, optionalDependencies = {} }) =>
    Object.entries(optionalDependencies).map(([name, version]) => ({ name, version, dev })),
  );
  return wanted.flatMap(({ name, version, dev }): [string, Package][] => {
    const platform = platformOf(name);
    const key = `node_modules/${name}`;
    if (!platform || key in packages) return [];
    return [[key, { version, cpu: [platform.cpu], ...(dev && { dev }), optional: true, os: [platform.os] }]];
  });
};

const { status } = spawnSync('npm', process.argv.slice(2), { stdio: 'inherit' });
const lockfile = JSON.parse(readFileSync(LOCKFILE, 'utf8')) as Lockfile;
const missing = leftOut(lockfile);
if (missing.length) {
  const sorted = Object.fromEntries([...Object.entries(lockfile.packages), ...missing].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(LOCKFILE, `${JSON.stringify({ ...lockfile, packages: sorted }, null, 2)}\n`);
}
process.exitCode = status ?? 1;
