/** What may stand where a key is an id: it is written as `*`. */
const IDENTIFIER = /^[@!$#+]|:/;

/** The kind of a JSON value; of objects and lists down to this depth also what is in them. */
const DEPTH = 4;

type Shape = string | { readonly list: Shape | undefined } | { readonly fields: ReadonlyMap<string, { shape: Shape; isAlways: boolean }> };

const isEqual = (a: Shape, b: Shape): boolean => write(a) === write(b);

const union = (a: Shape, b: Shape): Shape => {
  if (typeof a === 'object' && typeof b === 'object') {
    if ('list' in a && 'list' in b) return { list: a.list && b.list ? union(a.list, b.list) : (a.list ?? b.list) };
    if ('fields' in a && 'fields' in b) {
      const fields = new Map(a.fields);
      for (const [key, { isAlways }] of a.fields)
        if (isAlways && !b.fields.has(key)) fields.set(key, { ...fields.get(key)!, isAlways: false });
      for (const [key, field] of b.fields) {
        const before = a.fields.get(key);
        fields.set(
          key,
          before === undefined
            ? { shape: field.shape, isAlways: false }
            : { shape: union(before.shape, field.shape), isAlways: before.isAlways && field.isAlways },
        );
      }
      return { fields };
    }
  }
  if (isEqual(a, b)) return a;
  return [...new Set([...write(a).split(' | '), ...write(b).split(' | ')])].toSorted().join(' | ');
};

const shapeOf = (value: unknown, depth: number): Shape => {
  if (value === null) return 'null';
  if (typeof value !== 'object') return typeof value;
  if (depth === 0) return Array.isArray(value) ? '[…]' : '{…}';
  if (Array.isArray(value)) {
    const shapes = value.map((each) => shapeOf(each, depth - 1));
    return { list: shapes.length === 0 ? undefined : shapes.reduce(union) };
  }
  const fields = new Map<string, { shape: Shape; isAlways: boolean }>();
  for (const [key, inner] of Object.entries(value)) {
    const name = IDENTIFIER.test(key) ? '*' : key;
    const before = fields.get(name);
    const shape = shapeOf(inner, depth - 1);
    fields.set(name, { shape: before === undefined ? shape : union(before.shape, shape), isAlways: true });
  }
  return { fields };
};

const write = (shape: Shape): string => {
  if (typeof shape === 'string') return shape;
  if ('list' in shape) return shape.list === undefined ? '[]' : `[${write(shape.list)}]`;
  const fields = [...shape.fields].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([key, { shape: inner, isAlways }]) => `${key}${isAlways ? '' : '?'}: ${write(inner)}`).join(', ')}}`;
};

/** What a JSON value is made of, in words: `{chunk: [{event_id: string, unsigned?: {age: number}}], end: string}`. Keys that are ids are written `*`. */
export const describeShape = (value: unknown): string => write(shapeOf(value, DEPTH));
