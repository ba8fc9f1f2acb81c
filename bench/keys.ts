import type { Client, User } from './client.ts';
import { drive, measured, prepare, someone, type Bench, type Size } from './load.ts';
import type { Figures } from './statistics.ts';

const ALGORITHM = 'signed_curve25519';
/** As many as clients hold ready. */
const UPLOADED = 50;
/** As many devices as clients write to in one request. */
const RECIPIENTS = 20;
/** As long as a room key for one device is. */
const CIPHERTEXT = 'c'.repeat(900);

const signaturesOf = ({ userId, deviceId }: User): object => ({ [userId]: { [`ed25519:${deviceId}`]: 's'.repeat(86) } });

const oneTimeKeys = (user: User, prefix: string, count: number): object =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `${ALGORITHM}:${prefix}${String(index)}`,
      { key: 'k'.repeat(43), signatures: signaturesOf(user) },
    ]),
  );

/** Keys of those whose keys are asked for: enough for all that claims them, warm and just after a start. */
export const seedKeys = async (client: Client, users: readonly User[], { keyUsers, keyCalls }: Size): Promise<void> => {
  await prepare(4, keyUsers, (index) => {
    const user = someone(users, index);
    const keys = { [`ed25519:${user.deviceId}`]: 'e'.repeat(43), [`curve25519:${user.deviceId}`]: 'c'.repeat(43) };
    const algorithms = ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'];
    return client.call('POST', '/keys/upload', user, {
      device_keys: { user_id: user.userId, device_id: user.deviceId, algorithms, keys, signatures: signaturesOf(user) },
      one_time_keys: oneTimeKeys(user, 'seed', keyCalls * 2),
    });
  });
};

const WARM_UP = 2;

/** One after another, with few calls that are not measured before. */
const repeat = async (bench: Bench, calls: number, call: (index: number) => Promise<unknown>): Promise<Figures> => {
  const before = Math.min(WARM_UP, bench.size.warmUp);
  await prepare(1, before, call);
  return measured(bench, () => drive({ workers: 1, calls }, (index) => call(index + before)));
};

/** Asks for the keys of many users at once. */
export const queryKeys = (bench: Bench): Promise<Figures> => {
  const { client, world, size } = bench;
  const wanted = Object.fromEntries(world.users.slice(0, size.keyUsers).map(({ userId }) => [userId, []]));
  return repeat(bench, size.keyCalls, () => client.call('POST', '/keys/query', someone(world.users, 0), { device_keys: wanted }));
};

/** Claims a key of each device of many users at once. */
export const claimKeys = (bench: Bench): Promise<Figures> => {
  const { client, world, size } = bench;
  const wanted = Object.fromEntries(world.users.slice(0, size.keyUsers).map(({ userId, deviceId }) => [userId, { [deviceId]: ALGORITHM }]));
  return repeat(bench, size.keyCalls, async () => {
    type Answer = { readonly one_time_keys: object };
    const { one_time_keys: found } = await client.call<Answer>('POST', '/keys/claim', someone(world.users, 0), { one_time_keys: wanted });
    if (Object.keys(found).length < size.keyUsers) throw new Error('There are no more keys to claim');
  });
};

/** Uploads one-time keys, each time those of another device. */
export const uploadKeys = (bench: Bench): Promise<Figures> => {
  const { client, world, size } = bench;
  const prefix = Date.now().toString(36);
  return repeat(bench, size.keyCalls * 2, (index) => {
    const user = someone(world.users, size.keyUsers + index);
    return client.call('POST', '/keys/upload', user, { one_time_keys: oneTimeKeys(user, `${prefix}${String(index)}_`, UPLOADED) });
  });
};

/** Twenty people send messages to devices, each request to twenty of them; of people who follow nothing in other phases, where the messages would be told. */
export const sendToDevices = (bench: Bench): Promise<Figures> => {
  const { client, world, size } = bench;
  const prefix = Date.now().toString(36);
  return measured(bench, () =>
    drive({ workers: 20, ms: size.burstMs }, (index, worker) => {
      const devices = Array.from({ length: RECIPIENTS }, (_, each) =>
        someone(world.users, world.users.length - 1 - ((index * RECIPIENTS + each) % size.keyUsers)),
      );
      const content = { algorithm: 'm.olm.v1.curve25519-aes-sha2', ciphertext: CIPHERTEXT };
      const messages = Object.fromEntries(devices.map(({ userId, deviceId }) => [userId, { [deviceId]: content }]));
      return client.call('PUT', `/sendToDevice/m.room.encrypted/${prefix}${String(index)}`, someone(world.users, worker), { messages });
    }),
  );
};
