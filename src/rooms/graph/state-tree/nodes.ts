import { createHash } from 'node:crypto';
import { compareKeys, type StateKey } from '#src/rooms/graph/state-tree/keys.ts';

/** The name of a node: the first 16 bytes of its content's SHA-256, as hex. The empty state has the empty name. */
export type NodeId = string;

export const EMPTY: NodeId = '';

/** One line of a leaf: a state key and the number of the event that holds it. */
export interface LeafItem {
  readonly key: StateKey;
  readonly event: number;
}

/** One line of an inner node: the first key below a child, and the child. */
export interface InnerItem {
  readonly key: StateKey;
  readonly child: NodeId;
}

export type Node =
  | { readonly level: 0; readonly items: readonly LeafItem[] }
  | { readonly level: number; readonly items: readonly InnerItem[] };

/** A node's name and its bytes, the form in which it is kept, in memory too: read into objects it would take ten times as much. */
export interface StoredNode {
  readonly id: NodeId;
  readonly data: Uint8Array;
}

const ID_BYTES = 16;

export const isLeaf = (node: Node): node is Extract<Node, { level: 0 }> => node.level === 0;

class Bytes {
  #buffer = Buffer.allocUnsafe(1024);
  #length = 0;

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + bytes));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }

  number(value: number): void {
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
  }

  id(id: NodeId): void {
    this.#reserve(ID_BYTES);
    this.#length += this.#buffer.write(id, this.#length, 'hex');
  }

  done(): Uint8Array {
    return new Uint8Array(this.#buffer.subarray(0, this.#length));
  }
}

/**
 * A node as bytes: level, count, then per line the key and what it leads to, all numbers as varints. A key is written as the
 * difference in type to the line before and the other two parts plainly.
 */
export const encodeNode = (node: Node): Uint8Array => {
  const bytes = new Bytes();
  bytes.number(node.level);
  bytes.number(node.items.length);
  let type = 0;
  const key = (next: StateKey): void => {
    bytes.number(next.type - type);
    type = next.type;
    bytes.number(next.server);
    bytes.number(next.stateKey);
  };
  if (isLeaf(node)) {
    for (const item of node.items) {
      key(item.key);
      bytes.number(item.event);
    }
  } else {
    for (const item of node.items) {
      key(item.key);
      bytes.id(item.child);
    }
  }
  return bytes.done();
};

const cutShort = (): Error => new Error('A state node is cut short');

/** Reads a node's bytes from front to back. */
class Cursor {
  readonly #data: Uint8Array;
  #offset = 0;
  #type = 0;

  constructor(data: Uint8Array) {
    this.#data = data;
  }

  number(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#data[this.#offset++];
      if (byte === undefined) throw cutShort();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  }

  type(): number {
    return (this.#type += this.number());
  }

  key(): StateKey {
    return { type: this.type(), server: this.number(), stateKey: this.number() };
  }

  /** Goes past an id and answers where it stands. */
  skipId(): number {
    const at = this.#offset;
    this.#offset += ID_BYTES;
    if (this.#offset > this.#data.length) throw cutShort();
    return at;
  }

  idAt(at: number): NodeId {
    return Buffer.from(this.#data.buffer, this.#data.byteOffset + at, ID_BYTES).toString('hex');
  }
}

/** Reads what `encodeNode` wrote. Throws on bytes that are cut short. */
export const decodeNode = (data: Uint8Array): Node => {
  const cursor = new Cursor(data);
  const level = cursor.number();
  const count = cursor.number();
  if (level === 0) {
    const items: LeafItem[] = [];
    for (let index = 0; index < count; index++) items.push({ key: cursor.key(), event: cursor.number() });
    return { level: 0, items };
  }
  const items: InnerItem[] = [];
  for (let index = 0; index < count; index++) items.push({ key: cursor.key(), child: cursor.idAt(cursor.skipId()) });
  return { level, items };
};

/** What a leaf's bytes hold, each line as `make` has it, without reading it into objects first; undefined for an inner node. */
export const leafLines = <Line>(
  data: Uint8Array,
  make: (type: number, server: number, stateKey: number, event: number) => Line,
): Line[] | undefined => {
  const cursor = new Cursor(data);
  if (cursor.number() > 0) return undefined;
  const lines: Line[] = [];
  for (let count = cursor.number(); count > 0; count--) lines.push(make(cursor.type(), cursor.number(), cursor.number(), cursor.number()));
  return lines;
};

/** What lies below a node: nothing below a leaf. */
export const childrenOf = (data: Uint8Array): NodeId[] => {
  const node = decodeNode(data);
  return isLeaf(node) ? [] : node.items.map((item) => item.child);
};

/**
 * What a node's bytes say of one key, without reading the whole node into objects: of an inner node the child under which the key lies (the last whose
 * first key is not beyond it), of a leaf the event that holds the key, if one does.
 */
export const lookUp = (data: Uint8Array, key: StateKey): { readonly child: NodeId } | { readonly event: number | undefined } => {
  const cursor = new Cursor(data);
  const isInner = cursor.number() > 0;
  const count = cursor.number();
  let childAt = 0;
  for (let index = 0; index < count; index++) {
    const order = compareKeys(cursor.key(), key);
    if (order > 0 && index > 0) break;
    if (isInner) childAt = cursor.skipId();
    else {
      const event = cursor.number();
      if (order === 0) return { event };
    }
  }
  return isInner ? { child: cursor.idAt(childAt) } : { event: undefined };
};

/** Gives a node its name and its bytes. */
export const storeNode = (node: Node): StoredNode => {
  const data = encodeNode(node);
  return {
    id: createHash('sha256')
      .update(data)
      .digest('hex')
      .slice(0, ID_BYTES * 2),
    data,
  };
};
