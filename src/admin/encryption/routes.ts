import type { AccountAccess, Accounts, User } from '#src/accounts/index.ts';
import type { Devices, PublishedKeys, RemainingKeys } from '#src/devices/index.ts';
import { createLocalUser } from '#src/admin/local-user.ts';
import { type DeviceReport, explainPair } from '#src/admin/encryption/explain.ts';
import type { DeviceLists } from '#src/device-lists/index.ts';
import { at, route, type Route } from '#src/platform/http/route.ts';
import { isJsonObject, member, type JsonObject } from '#src/protocol/json.ts';
import type { RoomGraph } from '#src/rooms/graph/index.ts';
import type { ToDevice } from '#src/to-device/index.ts';

/** What the report is read from. */
export interface EncryptionReportTools {
  readonly access: Pick<AccountAccess, 'admin'>;
  readonly accounts: Pick<Accounts, 'find'>;
  readonly devices: Pick<Devices, 'list'>;
  readonly published: PublishedKeys;
  readonly remaining: RemainingKeys;
  readonly toDevice: Pick<ToDevice, 'waiting'>;
  readonly deviceLists: Pick<DeviceLists, 'knows'>;
  readonly graph: Pick<RoomGraph, 'rooms' | 'states' | 'timeline'> & { readonly memberships: Pick<RoomGraph['memberships'], 'ofUser'> };
  readonly serverName: string;
}

const isSignedBy = (text: string | undefined, userId: string, publicKey: string | undefined): boolean => {
  const { signatures } = text === undefined ? {} : (JSON.parse(text) as JsonObject);
  const own = isJsonObject(signatures) ? member(signatures, userId) : undefined;
  return publicKey !== undefined && isJsonObject(own) && Object.hasOwn(own, `ed25519:${publicKey}`);
};

/** Why a device cannot decrypt what another sends, as far as the server knows; Myelin's own, for administrators. */
export const encryptionReportRoutes = (tools: EncryptionReportTools): Route[] => {
  const { access, devices, published, remaining, toDevice, deviceLists, graph } = tools;
  const localUser = createLocalUser(tools);

  const sharedRooms = async (one: User, other: User): Promise<{ room_id: string; is_encrypted: boolean }[]> => {
    const [ones, others] = [await graph.memberships.ofUser(one.userNum), await graph.memberships.ofUser(other.userNum)];
    const shared = [...ones.values()].filter((row) => row.membership === 'join' && others.get(row.roomNum)?.membership === 'join');
    const found: { room_id: string; is_encrypted: boolean }[] = [];
    for (const room of (await graph.rooms(shared.map((row) => row.roomNum))).values()) {
      const root = await graph.timeline.rootAt(room.num, Number.MAX_SAFE_INTEGER);
      found.push({ room_id: room.roomId, is_encrypted: (await graph.states.get(room.num, root, 'm.room.encryption', '')) !== undefined });
    }
    return found;
  };

  const reportOn = async ({ userId, userNum }: User, deviceId: string, other: User): Promise<DeviceReport> => {
    const device = (await devices.list(userNum)).find((each) => each.deviceId === deviceId);
    const keys = (await published.of([userNum])).get(userNum);
    const { oneTimeKeys, unusedFallbackTypes } = await remaining.of(userNum, deviceId);
    const waiting = await toDevice.waiting(userNum, deviceId);
    const selfSigning = keys?.crossSigning.self_signing?.publicKey;
    return {
      user_id: userId,
      device_id: deviceId,
      exists: device !== undefined,
      last_seen_ts: device?.seen?.ts ?? null,
      has_keys: keys?.devices.has(deviceId) === true,
      has_cross_signing: selfSigning !== undefined,
      is_cross_signed: isSignedBy(keys?.devices.get(deviceId), userId, selfSigning),
      one_time_keys: oneTimeKeys['signed_curve25519'] ?? 0,
      has_unused_fallback_key: unusedFallbackTypes.includes('signed_curve25519'),
      messages_waiting: waiting.count,
      oldest_message_ts: waiting.oldestTs ?? null,
      knows_other: (await deviceLists.knows({ userNum, deviceId }, other.userNum)) ?? null,
    };
  };

  return [
    route({
      method: 'GET',
      path: at('/_synapse/admin/v1/explain_encryption/:senderId/:senderDevice/:receiverId/:receiverDevice'),
      access: access.admin,
      handle: async ({ params }) => {
        const [sender, receiver] = [await localUser(params.senderId), await localUser(params.receiverId)];
        const report = {
          shared_rooms: await sharedRooms(sender, receiver),
          sender: await reportOn(sender, params.senderDevice, receiver),
          receiver: await reportOn(receiver, params.receiverDevice, sender),
        };
        return { ...report, explanation: explainPair(report) };
      },
    }),
  ];
};
