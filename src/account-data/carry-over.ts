import { isJsonObject, type JsonObject, type JsonValue, member } from '#src/protocol/json.ts';

/** `m.direct` with a room's successor beside the room wherever that is listed; undefined where that changes nothing. */
export const withDirectRoom = (content: JsonObject | undefined, from: string, to: string): JsonObject | undefined => {
  let isChanged = false;
  const entries = Object.entries(content ?? {}).map(([userId, rooms]): [string, JsonValue] => {
    const list: readonly JsonValue[] | undefined = Array.isArray(rooms) ? rooms : undefined;
    if (list === undefined || !list.includes(from) || list.includes(to)) return [userId, rooms];
    isChanged = true;
    return [userId, [...list, to]];
  });
  return isChanged ? Object.fromEntries(entries) : undefined;
};

/** `m.tag` of a room's successor with the room's tags; what the successor has already stays. Undefined where that changes nothing. */
export const withTags = (content: JsonObject | undefined, carried: JsonObject): JsonObject | undefined => {
  const tags = isJsonObject(content?.tags) ? content.tags : {};
  const added = Object.keys(carried).some((tag) => member(tags, tag) === undefined);
  return added ? { ...content, tags: { ...carried, ...tags } } : undefined;
};
