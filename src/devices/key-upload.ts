import { Type, type Schema } from '#src/platform/schema.ts';
import type { Static } from '#src/platform/schema.ts';
import { canonicalJson } from '#src/protocol/canonical-json.ts';
import { badJson } from '#src/protocol/errors.ts';
import { isJsonObject, type JsonValue } from '#src/protocol/json.ts';
import type { KeyRow } from '#src/devices/key-store.ts';

const Texts = Type.Record(Type.String(), Type.String());
const OrNothing = <T extends Schema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));

/** All of it is required; `deviceKeysText` asks for it, for the error is another than that of a missing parameter. */
const DeviceKeysJson = Type.Object({
  user_id: Type.Optional(Type.String()),
  device_id: Type.Optional(Type.String()),
  algorithms: Type.Optional(Type.Array(Type.String())),
  keys: Type.Optional(Texts),
  signatures: Type.Optional(Type.Record(Type.String(), Texts)),
});
const REQUIRED = ['user_id', 'device_id', 'algorithms', 'keys', 'signatures'] as const;

/** A key alone, or signed, which `keyRows` asks for; whether the signature is right is for clients to judge. */
const SignedKey = Type.Object({
  key: Type.String(),
  signatures: Type.Optional(Type.Record(Type.String(), Texts)),
  fallback: OrNothing(Type.Boolean()),
});
const KeysJson = Type.Record(Type.String(), Type.Union([Type.String(), SignedKey]));

/** The body of `POST /keys/upload`. */
export const KeyUpload = Type.Object({
  device_keys: Type.Optional(DeviceKeysJson),
  one_time_keys: OrNothing(KeysJson),
  fallback_keys: OrNothing(KeysJson),
});
export type KeyUpload = Static<typeof KeyUpload>;

const MAX_NAME_LENGTH = 255;
/** `<algorithm>:<key id>`, in visible letters. */
const KEY_NAME = /^([\x21-\x39\x3b-\x7e]+):([\x21-\x39\x3b-\x7e]+)$/;

/** The keys by the parts of their names. Throws `M_BAD_JSON` for a name of another form, and for an object without signatures. */
export const keyRows = (keys: Static<typeof KeysJson>, field: string): KeyRow[] =>
  Object.entries(keys).map(([name, key]) => {
    const [, algorithm, keyId] = name.length > MAX_NAME_LENGTH ? [] : (KEY_NAME.exec(name) ?? []);
    if (algorithm === undefined || keyId === undefined) {
      throw badJson(`Invalid ${field} key '${name.slice(0, 64)}'. Expected "<algorithm>:<key_id>".`);
    }
    if (typeof key !== 'string' && key.signatures === undefined) throw badJson(`Invalid ${field} key '${name}': it is not signed`);
    return { algorithm, key_id: keyId, json: canonicalJson(key) };
  });

/** The text to store of what a device says of itself. Throws `M_BAD_JSON` where something is missing, or it speaks of another device. */
export const deviceKeysText = (keys: Static<typeof DeviceKeysJson>, owner: { userId: string; deviceId: string }): string => {
  const missing = REQUIRED.find((key) => keys[key] === undefined);
  if (missing !== undefined) throw badJson(`Missing required key in device_keys: ${missing}`);
  if (keys.user_id !== owner.userId) throw badJson('The `user_id` in `device_keys` is not that of the authenticated user');
  if (keys.device_id !== owner.deviceId) throw badJson('The `device_id` in `device_keys` is not that of the authenticated device');
  // What servers add is not the device's to say.
  const { unsigned: _, ...signed } = keys as typeof keys & { unsigned?: unknown };
  return canonicalJson(signed);
};

/** Whether two uploads are of the same key: signatures may differ from one to the other. */
export const isSameKey = (left: string, right: string): boolean => {
  const withoutSignatures = (text: string): string => {
    const value = JSON.parse(text) as JsonValue;
    if (!isJsonObject(value)) return text;
    const { signatures: _, ...rest } = value;
    return canonicalJson(rest);
  };
  return left === right || withoutSignatures(left) === withoutSignatures(right);
};
