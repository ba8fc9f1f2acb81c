import { invalidParam, keyTooLarge } from '#src/protocol/errors.ts';
import { byteLength } from '#src/protocol/identifiers.ts';

/** The fields that rooms show, and that are older than the others. */
export const NAMED_FIELDS = ['displayname', 'avatar_url'] as const;
export type NamedField = (typeof NAMED_FIELDS)[number];

const MAX_NAME_BYTES = 255;
/** The Common Namespaced Identifier Grammar (appendices of the specification). */
const GRAMMAR = /^[a-z][a-z0-9._-]*$/;

export const isNamedField = (name: string): name is NamedField => (NAMED_FIELDS as readonly string[]).includes(name);

/** Checks what is to be the name of a field; throws `M_KEY_TOO_LARGE` or `M_INVALID_PARAM`. */
export const checkFieldName = (name: string): void => {
  if (byteLength(name) > MAX_NAME_BYTES) throw keyTooLarge(`The name of a field is at most ${String(MAX_NAME_BYTES)} bytes long`);
  if (!GRAMMAR.test(name)) throw invalidParam('The name of a field has a-z, 0-9, ., _ and -, and begins with a letter');
};
