import { isJsonObject, type JsonObject, type JsonValue, parseLosslessJson } from '#src/protocol/json.ts';

/** `content.a\.b` → `['content', 'a.b']`; a backslash takes away the meaning of a dot or backslash after it. */
export const splitField = (field: string): string[] => {
  const parts = [''];
  for (let index = 0; index < field.length; index++) {
    const letter = field[index] as string;
    if (letter === '.') {
      parts.push('');
      continue;
    }
    const next = field[index + 1];
    const isEscape = letter === '\\' && (next === '.' || next === '\\');
    parts[parts.length - 1] += isEscape ? next : letter;
    if (isEscape) index++;
  }
  return parts;
};

const copy = (from: JsonObject, into: Record<string, JsonValue>, [key = '', ...rest]: readonly string[]): void => {
  const value = Object.hasOwn(from, key) ? from[key] : undefined;
  if (value === undefined) return;
  if (rest.length === 0) {
    into[key] = value;
    return;
  }
  if (!isJsonObject(value)) return;
  const inner: Record<string, JsonValue> = isJsonObject(into[key]) ? { ...into[key] } : {};
  copy(value, inner, rest);
  if (Object.keys(inner).length > 0) into[key] = inner;
};

/** An event's JSON text with nothing but the fields that a filter's `event_fields` names. */
export const pickFields = (text: string, fields: readonly string[]): string => {
  const event = parseLosslessJson(text) as JsonObject;
  const picked: Record<string, JsonValue> = {};
  for (const field of fields) copy(event, picked, splitField(field));
  return JSON.stringify(picked);
};
