import { isIP } from 'node:net';
import { custom, type Kind } from '#src/platform/config/kinds.ts';

const HOSTNAME = /^[A-Za-z0-9.-]{1,255}$/u;
const PORT = /^\d{1,5}$/u;

/** Whether a text is `host`, `host:port`, `1.2.3.4:port` or `[::1]:port` as the specification's appendix on server names says. */
export const isServerName = (name: string): boolean => {
  const match = /^(?:\[(?<ipv6>[^\]]+)\]|(?<host>[^:]+))(?::(?<port>.*))?$/u.exec(name);
  if (match?.groups === undefined) return false;
  const { ipv6, host, port } = match.groups;
  if (port !== undefined && !(PORT.test(port) && Number(port) <= 65_535)) return false;
  return ipv6 === undefined ? HOSTNAME.test(host ?? '') : isIP(ipv6) === 6;
};

const isIpRange = (text: string): boolean => {
  const [address = '', bits, ...more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/u.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
};

const isRegex = (source: string): boolean => {
  try {
    return new RegExp(source, 'u').source !== '';
  } catch {
    return false;
  }
};

const textWhere = (rule: string, accepts: (raw: string) => boolean): (() => Kind<string | undefined>) => {
  const accept = (raw: unknown): string | undefined => (typeof raw === 'string' && accepts(raw) ? raw : undefined);
  return () => custom<string, undefined>(rule, undefined, accept);
};

export const serverName = textWhere(
  'a server name: a host name or IP address, perhaps with a port (example.com, example.com:8448, [::1]:8448)',
  isServerName,
);
export const ipRange = textWhere('an IP address or a range in CIDR notation', isIpRange);
export const regex = textWhere('a regular expression', isRegex);
export const roomAlias = textWhere(
  'a room alias (#name:server)',
  (raw) => /^#[^:\0]*:/u.test(raw) && isServerName(raw.slice(raw.indexOf(':') + 1)),
);
export const roomId = textWhere('a room id (!id)', (raw) => /^![^\0]+$/u.test(raw));
export const userId = textWhere(
  'a user id (@name:server)',
  (raw) => /^@[^:\0]*:/u.test(raw) && isServerName(raw.slice(raw.indexOf(':') + 1)),
);
export const asciiGlob = textWhere('a host name in ASCII (international names as xn--…), with * and ? as wildcards', (raw) =>
  /^[\x21-\x7e]+$/u.test(raw),
);
export const verifyKey = textWhere('an ed25519 public key: 32 bytes in unpadded base64', (raw) => Buffer.from(raw, 'base64').length === 32);

/** One word, or a list of words; kept as a list. */
export const stringOrList = (unset: readonly string[]): Kind<readonly string[]> =>
  custom<readonly string[], readonly string[]>('a name or a list of names', unset, (raw) => {
    if (typeof raw === 'string') return [raw];
    return Array.isArray(raw) && raw.every((item) => typeof item === 'string') ? raw : undefined;
  });

/** A number of permission bits, written in octal (`0o660`, `0660`) as YAML 1.1 reads it, or as text. */
export const fileMode = (unset: number): Kind<number> => ({
  ...custom<number, number>('file permissions such as 0660 or "660"', unset, (raw) => {
    const mode = typeof raw === 'string' ? Number.parseInt(raw.replace(/^0o?/u, ''), 8) : raw;
    return typeof mode === 'number' && Number.isInteger(mode) && mode >= 0 && mode <= 0o777 ? mode : undefined;
  }),
  shown: `0${unset.toString(8)}`,
});
