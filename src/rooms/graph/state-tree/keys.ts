/**
 * A key of room state as the tree orders it: the event type, then for member events the server of the state key (0 for
 * all other types), then the state key; each by its number in `strings`. A type, or one server's members, is a range.
 */
export interface StateKey {
  readonly type: number;
  readonly server: number;
  readonly stateKey: number;
}

export const compareKeys = (a: StateKey, b: StateKey): number => a.type - b.type || a.server - b.server || a.stateKey - b.stateKey;

/** A key as text, for maps. */
export const keyText = (key: StateKey): string => `${String(key.type)}.${String(key.server)}.${String(key.stateKey)}`;

/**
 * One key in 8 begins a leaf, and of the keys that begin a node one in 4 begins a node of the next level. A change writes one path: narrow nodes make the path
 * longer and what is written shorter. Of the widths tried for a room of 100,000 members this one writes least.
 */
const LEAF_BITS = 3;
const INNER_BITS = 2;

const mix = (hash: number, value: number): number => {
  let mixed = Math.imul(hash ^ (value >>> 0), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 15) ^ Math.floor(value / 0x1_0000_0000), 0xc2b2ae35);
  return mixed ^ (mixed >>> 13);
};

/**
 * The highest tree level at which this key begins a node: 0 for most, 1 or more for one in 8, 2 or more for one in 32. It
 * depends on nothing but the key, which is what makes equal states equal trees whatever order their keys came in.
 */
export const levelOf = (key: StateKey): number => {
  const hash = mix(mix(mix(0x9e3779b9, key.type), key.server), key.stateKey);
  const zeros = Math.clz32(hash);
  return zeros < LEAF_BITS ? 0 : 1 + Math.floor((zeros - LEAF_BITS) / INNER_BITS);
};
