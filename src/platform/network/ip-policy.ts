import { BlockList, isIP } from 'node:net';

/** Which addresses this server connects to on behalf of others. */
export interface IpPolicy {
  /** Whether an address, IPv4 or IPv6, may be connected to. What is no address may not. */
  isAllowed(address: string): boolean;
}

/** Denied whatever the configuration says: they mean this machine. */
const NEVER = ['0.0.0.0/32', '::/128'];

const WORDS = 8;

/** The eight words of an IPv6 address. */
const wordsOf = (address: string): number[] => {
  // The URL parser knows every way in which an address can be written, and answers with one of them.
  const text = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [head = '', tail] = text.split('::');
  const parse = (part: string): number[] => (part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16)));
  const [left, right] = [parse(head), tail === undefined ? [] : parse(tail)];
  return [...left, ...Array<number>(WORDS - left.length - right.length).fill(0), ...right];
};

const ipv4Of = (high: number, low: number): string => [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');

/** The IPv4 address that packets to an IPv6 address may end at: mapped and compatible addresses, 6to4 and NAT64. */
const embeddedIpv4 = (address: string): string | undefined => {
  const words = wordsOf(address);
  const [first, second, third] = words as [number, number, number];
  if (first === 0x2002) return ipv4Of(second, third);
  const isZero = (from: number, to: number): boolean => words.slice(from, to).every((word) => word === 0);
  const ends = ipv4Of(words[6]!, words[7]!);
  if (first === 0x64 && second === 0xff9b && isZero(2, 6)) return ends;
  if (!isZero(0, 5)) return undefined;
  // `::` and `::1` are addresses of their own.
  return words[5] === 0xffff || (words[5] === 0 && words[6] !== 0) ? ends : undefined;
};

const listOf = (ranges: readonly string[]): BlockList => {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', prefix] = range.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    list.addSubnet(address, prefix === undefined ? (family === 'ipv6' ? 128 : 32) : Number(prefix), family);
  }
  return list;
};

/** `denied` and `allowed` are addresses and ranges in CIDR notation; what both name is allowed. */
export const createIpPolicy = ({ denied, allowed }: { denied: readonly string[]; allowed: readonly string[] }): IpPolicy => {
  const [never, deny, allow] = [listOf(NEVER), listOf(denied), listOf(allowed)];
  const isAllowed = (address: string): boolean => {
    // A zone (`fe80::1%eth0`) says by which interface, not where to.
    const [bare = ''] = address.split('%');
    const version = isIP(bare);
    if (version === 0) return false;
    const family = version === 6 ? 'ipv6' : 'ipv4';
    if (never.check(bare, family)) return false;
    if (allow.check(bare, family)) return true;
    if (deny.check(bare, family)) return false;
    const embedded = version === 6 ? embeddedIpv4(bare) : undefined;
    return embedded === undefined || isAllowed(embedded);
  };
  return { isAllowed };
};
