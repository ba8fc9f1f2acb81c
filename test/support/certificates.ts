import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Files in PEM. */
export interface Certificate {
  readonly certificatePath: string;
  readonly keyPath: string;
  readonly certificate: string;
  readonly key: string;
}

/** An authority of the test's own; nobody trusts it who is not told to. */
export interface Authority {
  /** Its certificate: a file in PEM. */
  readonly path: string;
  readonly pem: string;
  /** A certificate for host names and addresses: `DNS:a.test`, `IP:127.0.0.1`. */
  issue(...names: readonly string[]): Certificate;
}

/** Makes an authority in a folder of its own under the temporary one. */
export const makeAuthority = (): Authority => {
  const folder = mkdtempSync(join(tmpdir(), 'myelin-authority-'));
  const openssl = (...words: readonly string[]): void => {
    execFileSync('openssl', words, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Test authority');
  const path = join(folder, 'ca.pem');
  let issued = 0;
  return {
    path,
    pem: readFileSync(path, 'utf8'),
    issue: (...names) => {
      issued += 1;
      const name = `server-${String(issued)}`;
      writeFileSync(join(folder, `${name}.ext`), `subjectAltName=${names.join(',')}\n`);
      openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', '/CN=test');
      const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', `${name}.ext`];
      openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, ...signing);
      const [certificatePath, keyPath] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
      return { certificatePath, keyPath, certificate: readFileSync(certificatePath, 'utf8'), key: readFileSync(keyPath, 'utf8') };
    },
  };
};
