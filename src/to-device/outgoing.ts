import type { ContentTexts } from '#src/to-device/recipients.ts';

/** As much as other servers take at once, unless a single content is larger. */
const MAX_CONTENTS_BYTES = 60_000;

const objectOf = (members: Iterable<readonly [string, string]>): string =>
  `{${[...members].map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(',')}}`;

/** The `messages` of as few `m.direct_to_device` as hold the contents for the users of one server, as JSON. */
export const packMessages = (users: ReadonlyMap<string, ContentTexts>): string[] => {
  const packed: string[] = [];
  let current = new Map<string, Map<string, string>>();
  let bytes = 0;
  const finish = (): void => {
    if (current.size > 0) packed.push(objectOf([...current].map(([userId, texts]) => [userId, objectOf(texts)] as const)));
    current = new Map();
    bytes = 0;
  };
  for (const [userId, texts] of users) {
    for (const [deviceId, text] of texts) {
      const added = Buffer.byteLength(text) + Buffer.byteLength(deviceId) + Buffer.byteLength(userId) + 10;
      if (bytes + added > MAX_CONTENTS_BYTES) finish();
      bytes += added;
      current.set(userId, (current.get(userId) ?? new Map<string, string>()).set(deviceId, text));
    }
  }
  finish();
  return packed;
};
