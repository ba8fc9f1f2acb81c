import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FULL, QUICK } from './load.ts';
import { findPostgres, startPostgres, type Postgres } from './postgres.ts';
import { doubts, table } from './report.ts';
import { PHASES, runOnce, runSeed, type PhaseName, type Seeded } from './run.ts';
import { prepareServer, type EngineName, type Server, type ServerName } from './server.ts';
import { medianRun, type Run } from './statistics.ts';

const HELP = `npm run bench -- [options]

Starts Myelin and the pinned Synapse in turn, alone on core 0, puts the same load on each from core 1, and prints ratios.

  --engine sqlite|postgres|both   default both (PostgreSQL where Debian's programs are found)
  --only myelin|synapse           one of the two
  --phases a,b                    of ${PHASES.join(', ')}
  --repeat N                      medians of N runs; default 3
  --quick                         one short run of each, under three minutes
  --json FILE                     also write all figures there
  --profile                       profile Myelin's main thread in each phase, and keep the folders with the profiles
  --keep                          keep the data folders and the servers' output`;

const LOAD_CORE = '1';
const SERVER_PORT = 18_008;
const POSTGRES_PORT = 18_432;
const INSPECT_PORT = 18_229;

const { values: options } = parseArgs({
  options: {
    engine: { type: 'string', default: 'both' },
    only: { type: 'string' },
    phases: { type: 'string' },
    repeat: { type: 'string' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    profile: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const oneOf = <Name extends string>(what: string, given: string, allowed: readonly Name[]): Name => {
  const found = allowed.find((name) => name === given);
  if (!found) throw new Error(`--${what} takes ${allowed.join(', ')}, not '${given}'`);
  return found;
};

const wantedEngines = (programs: string | undefined): EngineName[] => {
  const engine = oneOf('engine', options.engine, ['sqlite', 'postgres', 'both']);
  if (engine === 'both') {
    if (!programs) console.error('PostgreSQL is not installed: only SQLite is measured.');
    return programs ? ['sqlite', 'postgres'] : ['sqlite'];
  }
  if (engine === 'postgres' && !programs) throw new Error("Debian's PostgreSQL programs are not installed");
  return [engine];
};

type Results = Partial<Record<ServerName, Run>>;

/** Runs the servers in turn on one engine, each on copies of what was made for it once; answers the medians. */
const measureEngine = async (job: {
  readonly servers: readonly ServerName[];
  readonly synapseVenv: string;
  readonly postgres: Postgres | undefined;
  readonly folder: string;
  readonly repeat: number;
  readonly wanted: ReadonlySet<PhaseName>;
}): Promise<Results> => {
  const { servers, synapseVenv, postgres, folder, repeat, wanted } = job;
  const size = options.quick ? QUICK : FULL;
  const on = postgres ? 'PostgreSQL' : 'SQLite';
  const prepare = async (name: ServerName, what: string, seeded?: Server): Promise<Server> => {
    const database = `${name}_${what}`;
    await postgres?.create(database, seeded && `${name}_seed`);
    const data = join(folder, database);
    const inspectPort = options.profile && name === 'myelin' ? INSPECT_PORT : undefined;
    return prepareServer({ name, data, port: SERVER_PORT, synapseVenv, postgres, database, copyOf: seeded?.data, inspectPort });
  };
  const runs: Record<ServerName, Run[]> = { myelin: [], synapse: [] };
  const seeds = new Map<ServerName, Seeded & { readonly server: Server }>();
  for (const name of servers) {
    console.error(`${name} on ${on}, making people and rooms`);
    const server = await prepare(name, 'seed');
    seeds.set(name, { server, ...(await runSeed(server, size)) });
  }
  for (let round = 0; round < repeat; round++) {
    for (const [name, seeded] of seeds) {
      console.error(`${name} on ${on}, run ${String(round + 1)} of ${String(repeat)}`);
      runs[name].push(await runOnce(await prepare(name, String(round), seeded.server), postgres, size, seeded, wanted));
    }
  }
  return Object.fromEntries(servers.map((name) => [name, medianRun(runs[name])]));
};

const main = async (): Promise<void> => {
  const wanted = new Set<PhaseName>(options.phases?.split(',').map((name) => oneOf('phases', name, PHASES)) ?? PHASES);
  const servers: readonly ServerName[] = options.only ? [oneOf('only', options.only, ['myelin', 'synapse'])] : ['synapse', 'myelin'];
  const repeat = Number(options.repeat ?? (options.quick ? 1 : 3));
  const programs = findPostgres();
  const engines = wantedEngines(programs);
  const synapseVenv = servers.includes('synapse')
    ? execFileSync(join(import.meta.dirname, '../scripts/synapse-venv.sh'), {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      }).trim()
    : '';

  const pinnedThreads = ['-a', '-c', '-p', LOAD_CORE, String(process.pid)];
  execFileSync('taskset', pinnedThreads, { stdio: 'ignore' });
  const folder = mkdtempSync(join(tmpdir(), 'myelin-bench-'));
  chmodSync(folder, 0o755); // PostgreSQL's user passes through
  let postgres: Postgres | undefined;
  try {
    if (programs && engines.includes('postgres')) postgres = await startPostgres(programs, join(folder, 'postgres'), POSTGRES_PORT);
    const all: Partial<Record<EngineName, Results>> = {};
    for (const engine of engines) {
      const used = engine === 'postgres' ? postgres : undefined;
      const results = await measureEngine({ servers, synapseVenv, postgres: used, folder: join(folder, engine), repeat, wanted });
      all[engine] = results;
      console.log(['', ...table(engine, results), ...doubts(engine, results)].join('\n'));
    }
    if (options.json)
      writeFileSync(options.json, `${JSON.stringify({ node: process.version, repeat, quick: options.quick, results: all }, null, 2)}\n`);
  } finally {
    await postgres?.stop();
    if (options.keep || options.profile) console.error(`Kept: ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  }
};

if (options.help) console.log(HELP);
else await main();
