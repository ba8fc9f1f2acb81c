import { createHash } from 'node:crypto';
import type { StateKey } from '#src/rooms/graph/state-tree/keys.ts';

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

export interface StoredNode {
  readonly id: NodeId;
  readonly data: Uint8Array;
  readonly node: Node;
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

/** Reads what `encodeNode` wrote. Throws on bytes that are cut short. */
export const decodeNode = (data: Uint8Array): Node => {
  let offset = 0;
  const number = (): number => {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = data[offset++];
      if (byte === undefined) throw new Error('A state node is cut short');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
  };
  const level = number();
  const count = number();
  let type = 0;
  const key = (): StateKey => {
    type += number();
    return { type, server: number(), stateKey: number() };
  };
  if (level === 0) {
    const items: LeafItem[] = [];
    for (let index = 0; index < count; index++) items.push({ key: key(), event: number() });
    return { level: 0, items };
  }
  const items: InnerItem[] = [];
  for (let index = 0; index < count; index++) {
    const first = key();
    if (offset + ID_BYTES > data.length) throw new Error('A state node is cut short');
    items.push({ key: first, child: Buffer.from(data.buffer, data.byteOffset + offset, ID_BYTES).toString('hex') });
    offset += ID_BYTES;
  }
  return { level, items };
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
    node,
  };
};
