const DURATION_UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000, y: 31_536_000_000 } as const;
const SIZE_UNITS = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 } as const;

const parseWithUnit = (raw: unknown, units: Readonly<Record<string, number>>): number | undefined => {
  if (typeof raw === 'number') return Number.isSafeInteger(raw) ? raw : undefined;
  if (typeof raw !== 'string') return undefined;
  const match = /^\s*(-?\d+)\s*([A-Za-z]?)\s*$/u.exec(raw);
  if (match === null) return undefined;
  const factor = match[2] === '' ? 1 : units[match[2] ?? ''];
  const value = Number(match[1]) * (factor ?? Number.NaN);
  return Number.isSafeInteger(value) ? value : undefined;
};

/** `30s`, `5m`, `1h`, `7d`, `2w`, `1y` (365 days), or a number of milliseconds → milliseconds; `undefined` when it is none of these. */
export const parseDuration = (raw: unknown): number | undefined => parseWithUnit(raw, DURATION_UNITS);

/** `10K`, `50M`, `2G`, `1T` (1024-based), or a number of bytes → bytes; `undefined` when it is none of these. */
export const parseSize = (raw: unknown): number | undefined => parseWithUnit(raw, SIZE_UNITS);
