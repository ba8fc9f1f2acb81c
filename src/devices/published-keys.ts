import { byteCache } from '#src/platform/cache/index.ts';
import type { Database, Reader } from '#src/platform/database/types.ts';
import { isJsonObject, member, type JsonObject } from '#src/protocol/json.ts';
import { readCrossSigningKeys, readOwnSignatures, type SignatureRow, type Usage } from '#src/devices/cross-signing/store.ts';
import { readDeviceKeysOf } from '#src/devices/key-store.ts';

/** A cross-signing key as its user uploaded it. */
export interface CrossSigningKey {
  readonly publicKey: string;
  readonly json: string;
}

/** What everybody may read of a user's keys, as JSON texts that are ready to be sent. */
export interface UserKeys {
  /** Devices by id, with the signatures of their user and the name in `unsigned`. */
  readonly devices: ReadonlyMap<string, string>;
  readonly crossSigning: Readonly<Partial<Record<Usage, CrossSigningKey>>>;
}

/** The keys that users have published. What is asked for often is kept in memory. */
export interface PublishedKeys {
  /** A user without keys has an empty entry. */
  readonly of: (userNums: readonly number[]) => Promise<ReadonlyMap<number, UserKeys>>;
  /** To be called when a change of the user's devices or keys is committed. */
  readonly forget: (userNum: number) => void;
}

const MAX_BYTES = 32 * 1024 * 1024;
const ENTRY_BYTES = 300;

const bytesOf = ({ devices, crossSigning }: UserKeys): number =>
  ENTRY_BYTES +
  [...devices.values(), ...Object.values(crossSigning).map(({ json }) => json)].reduce((sum, text) => sum + text.length + ENTRY_BYTES, 0);

/** The object with further signatures of one user. */
export const withSignatures = (object: JsonObject, userId: string, added: readonly SignatureRow[]): JsonObject => {
  if (added.length === 0) return object;
  const all = isJsonObject(object.signatures) ? object.signatures : {};
  const own = member(all, userId);
  const more = Object.fromEntries(added.map((row) => [row.key_id, row.signature]));
  return { ...object, signatures: { ...all, [userId]: { ...(isJsonObject(own) ? own : {}), ...more } } };
};

/** Reads them from the database. */
export const readUserKeys = async (reader: Reader, userNums: readonly number[]): Promise<Map<number, UserKeys>> => {
  const devicesOf = Map.groupBy(await readDeviceKeysOf(reader, userNums), (row) => row.user_num);
  const crossSigningOf = Map.groupBy(await readCrossSigningKeys(reader, userNums), (row) => row.user_num);
  const signaturesOf = Map.groupBy(await readOwnSignatures(reader, userNums), (row) => row.target_num);
  return new Map(
    userNums.map((userNum) => {
      const signatures = signaturesOf.get(userNum) ?? [];
      const devices = (devicesOf.get(userNum) ?? []).map((row): [string, string] => {
        const stored = JSON.parse(row.json) as JsonObject;
        const unsigned = row.display_name === null ? (stored.unsigned ?? {}) : { device_display_name: row.display_name };
        const added = signatures.filter((each) => each.target_key === row.device_id);
        const signed = withSignatures(stored, stored.user_id as string, added);
        return [row.device_id, JSON.stringify({ ...signed, unsigned })];
      });
      const crossSigning = (crossSigningOf.get(userNum) ?? []).map((row) => [row.usage, { publicKey: row.public_key, json: row.json }]);
      return [userNum, { devices: new Map(devices), crossSigning: Object.fromEntries(crossSigning) as UserKeys['crossSigning'] }];
    }),
  );
};

/** What users have published, from a bounded cache before the database. */
export const createPublishedKeys = (database: Database): PublishedKeys => {
  const cache = byteCache<number, UserKeys>(MAX_BYTES, bytesOf);
  // What was read while keys changed may be old: it is not kept.
  let changes = 0;

  return {
    of: async (userNums) => {
      const found = new Map<number, UserKeys>();
      for (const userNum of userNums) {
        const known = cache.get(userNum);
        if (known !== undefined) found.set(userNum, known);
      }
      const missing = [...new Set(userNums)].filter((userNum) => !found.has(userNum));
      if (missing.length === 0) return found;
      const before = changes;
      for (const [userNum, keys] of await database.read('published keys', (reader) => readUserKeys(reader, missing))) {
        found.set(userNum, keys);
        if (before === changes) cache.set(userNum, keys);
      }
      return found;
    },
    forget: (userNum) => {
      changes += 1;
      cache.delete(userNum);
    },
  };
};
