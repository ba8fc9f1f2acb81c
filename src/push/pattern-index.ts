import type { Anchor } from '#src/push/anchors.ts';

/** Numbers by key. Most keys have one number, which costs no set. */
class NumbersByKey {
  readonly #map = new Map<string, number | Set<number>>();

  get size(): number {
    return this.#map.size;
  }

  add(key: string, num: number): void {
    const known = this.#map.get(key);
    if (known === undefined) this.#map.set(key, num);
    else if (typeof known !== 'number') known.add(num);
    else if (known !== num) this.#map.set(key, new Set([known, num]));
  }

  remove(key: string, num: number): boolean {
    const known = this.#map.get(key);
    if (known === num) return this.#map.delete(key);
    if (typeof known !== 'object' || !known.delete(num) || known.size > 0) return false;
    return this.#map.delete(key);
  }

  addTo(found: Set<number>, key: string): void {
    const known = this.#map.get(key);
    if (typeof known === 'number') found.add(known);
    else if (known !== undefined) for (const num of known) found.add(num);
  }
}

/** Texts are found by their first characters, at most so many. */
const PREFIX = 4;

/**
 * Many users' anchors at once. Looking for those that an event has costs the length of its body, whatever the number of anchors: words are
 * looked up whole, other texts by their first characters at every place.
 */
export class PatternIndex {
  readonly #words = new NumbersByKey();
  readonly #senders = new NumbersByKey();
  readonly #texts = new NumbersByKey();
  /** The texts by their first characters. */
  readonly #prefixes = new Map<string, Set<string>>();
  /** How many prefixes there are of each length. */
  readonly #lengths = new Map<number, number>();

  add(anchor: Anchor, userNum: number): void {
    if (anchor.kind === 'word') this.#words.add(anchor.word, userNum);
    else if (anchor.kind === 'sender') this.#senders.add(anchor.sender, userNum);
    else this.#addText(anchor.text, userNum);
  }

  remove(anchor: Anchor, userNum: number): void {
    if (anchor.kind === 'word') this.#words.remove(anchor.word, userNum);
    else if (anchor.kind === 'sender') this.#senders.remove(anchor.sender, userNum);
    else this.#removeText(anchor.text, userNum);
  }

  /** Adds to `found` whose anchors the event has; `lower` is its body in lower case, `words` that body's words. */
  find(sender: string, lower: string, words: ReadonlySet<string>, found: Set<number>): void {
    this.#senders.addTo(found, sender);
    if (this.#words.size > 0) for (const word of words) this.#words.addTo(found, word);
    for (const length of this.#lengths.keys()) {
      for (let at = 0; at + length <= lower.length; at++) {
        const texts = this.#prefixes.get(lower.slice(at, at + length));
        if (texts === undefined) continue;
        for (const text of texts) if (lower.startsWith(text, at)) this.#texts.addTo(found, text);
      }
    }
  }

  #addText(text: string, userNum: number): void {
    const prefix = text.slice(0, PREFIX);
    const known = this.#prefixes.get(prefix);
    if (known === undefined) {
      this.#prefixes.set(prefix, new Set([text]));
      this.#lengths.set(prefix.length, (this.#lengths.get(prefix.length) ?? 0) + 1);
    } else known.add(text);
    this.#texts.add(text, userNum);
  }

  #removeText(text: string, userNum: number): void {
    if (!this.#texts.remove(text, userNum)) return;
    const prefix = text.slice(0, PREFIX);
    const texts = this.#prefixes.get(prefix);
    texts?.delete(text);
    if (texts === undefined || texts.size > 0) return;
    this.#prefixes.delete(prefix);
    const left = (this.#lengths.get(prefix.length) ?? 1) - 1;
    if (left === 0) this.#lengths.delete(prefix.length);
    else this.#lengths.set(prefix.length, left);
  }
}
