import { isJsonObject, type JsonObject, type JsonValue, member } from '#src/protocol/json.ts';
import type { UserKeys } from '#src/devices/index.ts';

/** More devices than this nobody has. */
const MAX_DEVICES = 1000;

/** What a server tells of a device of a user, as it is kept; undefined where it is about another device. */
export const deviceText = (keys: JsonValue | undefined, userId: string, deviceId: string, name?: JsonValue): string | undefined => {
  if (!isJsonObject(keys) || keys.user_id !== userId || keys.device_id !== deviceId) return undefined;
  const unsigned = isJsonObject(keys.unsigned) ? keys.unsigned : {};
  return JSON.stringify({ ...keys, unsigned: { ...unsigned, ...(typeof name === 'string' && { device_display_name: name }) } });
};

/** A cross-signing key of a user for a usage; undefined where it is none. */
const crossSigningKey = (key: JsonValue | undefined, userId: string, usage: 'master' | 'self_signing') => {
  if (!isJsonObject(key) || key.user_id !== userId || !Array.isArray(key.usage) || !key.usage.includes(usage)) return undefined;
  const names = Object.keys(isJsonObject(key.keys) ? key.keys : {});
  const [name] = names;
  if (name === undefined || names.length !== 1 || !name.startsWith('ed25519:')) return undefined;
  return { publicKey: name.slice('ed25519:'.length), json: JSON.stringify(key) };
};

const crossSigningOf = (userId: string, master: JsonValue | undefined, selfSigning: JsonValue | undefined): UserKeys['crossSigning'] => {
  const [masterKey, selfSigningKey] = [crossSigningKey(master, userId, 'master'), crossSigningKey(selfSigning, userId, 'self_signing')];
  return { ...(masterKey !== undefined && { master: masterKey }), ...(selfSigningKey !== undefined && { self_signing: selfSigningKey }) };
};

/** A user's whole list (`GET /user/devices/{userId}`) and its last change; undefined where the answer is about somebody else or in no form. */
export const wholeList = (answer: JsonObject, userId: string): { readonly id: string; readonly keys: UserKeys } | undefined => {
  const { user_id: about, stream_id: id, devices, master_key: master, self_signing_key: selfSigning } = answer;
  if (about !== userId || (typeof id !== 'number' && typeof id !== 'string') || !Array.isArray(devices) || devices.length > MAX_DEVICES)
    return undefined;
  const found = (devices as readonly JsonValue[]).flatMap((device): [string, string][] => {
    if (!isJsonObject(device) || typeof device.device_id !== 'string') return [];
    const text = deviceText(device.keys, userId, device.device_id, device.device_display_name);
    return text === undefined ? [] : [[device.device_id, text]];
  });
  return {
    id: typeof id === 'string' ? id : JSON.stringify(id),
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
    devices: new Map(devices.slice(0, MAX_DEVICES)),
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
