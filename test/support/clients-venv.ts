import { existsSync, globSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Why there are no tests with other people's clients in Python, in the words of `test/skips.txt`. */
export const NO_CLIENTS = 'matrix-nio and mautrix are not installed';

const venvs = [process.env['MYELIN_CLIENTS_VENV'] ?? '', ...globSync(join(homedir(), '.cache/myelin/clients-*'))];

/** The Python that has matrix-nio with encryption and mautrix, where scripts/clients-venv.sh has put them. */
export const clientsPython = venvs
  .filter((venv) => globSync(join(venv, 'lib/*/site-packages/vodozemac')).length > 0)
  .map((venv) => join(venv, 'bin/python'))
  .find((path) => existsSync(path));
