import { isExactNumber, isJsonObject, type JsonObject, type JsonValue, member } from '#src/protocol/json.ts';
import { MAX_REMOTE_DEVICES, type UserKeys } from '#src/devices/index.ts';

/** Many times what clients make. */
const MAX_ID_BYTES = 512;
const MAX_KEY_BYTES = 65_536;

/** Whether an id of another server's making can be kept: not every database could store a null byte, or index what is very long. */
export const isKeepableId = (value: JsonValue | undefined): value is string =>
  typeof value === 'string' && value.isWellFormed() && !value.includes('\0') && Buffer.byteLength(value) <= MAX_ID_BYTES;

/** The id of a change of a list, which comes as a number or as a text; undefined for what is none. */
export const changeId = (value: JsonValue | undefined): string | undefined => {
  const text = typeof value === 'number' || isExactNumber(value) ? JSON.stringify(value) : value;
  return isKeepableId(text) ? text : undefined;
};

/** The JSON of a key, unless it is larger than any key is. */
const keyText = (key: JsonObject): string | undefined => {
  const text = JSON.stringify(key);
  return Buffer.byteLength(text) <= MAX_KEY_BYTES ? text : undefined;
};

/** What a server tells of a device of a user, as it is kept; undefined where it is about another device, or too large. */
export const deviceText = (keys: JsonValue | undefined, userId: string, deviceId: string, name?: JsonValue): string | undefined => {
  if (!isKeepableId(deviceId) || !isJsonObject(keys) || keys.user_id !== userId || keys.device_id !== deviceId) return undefined;
  const unsigned = isJsonObject(keys.unsigned) ? keys.unsigned : {};
  return keyText({ ...keys, unsigned: { ...unsigned, ...(typeof name === 'string' && { device_display_name: name }) } });
};

/** A cross-signing key of a user for a usage; undefined where it is none. */
const crossSigningKey = (key: JsonValue | undefined, userId: string, usage: 'master' | 'self_signing') => {
  if (!isJsonObject(key) || key.user_id !== userId || !Array.isArray(key.usage) || !key.usage.includes(usage)) return undefined;
  const names = Object.keys(isJsonObject(key.keys) ? key.keys : {});
  const [name] = names;
  const text = keyText(key);
  if (!isKeepableId(name) || names.length !== 1 || !name.startsWith('ed25519:') || text === undefined) return undefined;
  return { publicKey: name.slice('ed25519:'.length), json: text };
};

const crossSigningOf = (userId: string, master: JsonValue | undefined, selfSigning: JsonValue | undefined): UserKeys['crossSigning'] => {
  const [masterKey, selfSigningKey] = [crossSigningKey(master, userId, 'master'), crossSigningKey(selfSigning, userId, 'self_signing')];
  return { ...(masterKey !== undefined && { master: masterKey }), ...(selfSigningKey !== undefined && { self_signing: selfSigningKey }) };
};

/** A user's whole list (`GET /user/devices/{userId}`) and its last change; undefined where the answer is about somebody else or in no form. */
export const wholeList = (answer: JsonObject, userId: string): { readonly id: string; readonly keys: UserKeys } | undefined => {
  const { user_id: about, stream_id: streamId, devices, master_key: master, self_signing_key: selfSigning } = answer;
  const id = changeId(streamId);
  if (about !== userId || id === undefined || !Array.isArray(devices) || devices.length > MAX_REMOTE_DEVICES) return undefined;
  const found = (devices as readonly JsonValue[]).flatMap((device): [string, string][] => {
    if (!isJsonObject(device) || typeof device.device_id !== 'string') return [];
    const text = deviceText(device.keys, userId, device.device_id, device.device_display_name);
    return text === undefined ? [] : [[device.device_id, text]];
  });
  return {
    id,
    keys: { devices: new Map(found), crossSigning: crossSigningOf(userId, master, selfSigning) },
  };
};

const objectIn = (value: JsonValue | undefined, name: string): JsonObject => {
  const found = isJsonObject(value) ? member(value, name) : undefined;
  return isJsonObject(found) ? found : {};
};

/** What a server says of the keys of one of its users among others (`POST /user/keys/query`). */
export const keysAmong = (answer: JsonObject, userId: string): UserKeys => {
  const devices = Object.entries(objectIn(answer.device_keys, userId)).flatMap(([deviceId, keys]): [string, string][] => {
    const text = deviceText(keys, userId, deviceId);
    return text === undefined ? [] : [[deviceId, text]];
  });
  const keyIn = (value: JsonValue | undefined): JsonValue | undefined => (isJsonObject(value) ? member(value, userId) : undefined);
  return {
    devices: new Map(devices.slice(0, MAX_REMOTE_DEVICES)),
    crossSigning: crossSigningOf(userId, keyIn(answer.master_keys), keyIn(answer.self_signing_keys)),
  };
};

/** The keys of a user's devices that were asked for, as JSON (`POST /user/keys/claim`); of each device one of the wanted algorithm. Undefined for none. */
export const claimedFor = (answer: JsonObject, userId: string, wanted: Readonly<Record<string, string>>): string | undefined => {
  const given = objectIn(answer.one_time_keys, userId);
  const kept = Object.entries(wanted).flatMap(([deviceId, algorithm]) => {
    const key = Object.entries(objectIn(given, deviceId)).find(([name]) => name.startsWith(`${algorithm}:`));
    return key === undefined ? [] : [[deviceId, { [key[0]]: key[1] }] as const];
  });
  return kept.length === 0 ? undefined : JSON.stringify(Object.fromEntries(kept));
};
