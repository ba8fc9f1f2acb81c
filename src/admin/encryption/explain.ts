/** What the server knows of one device in a pair, in the names of the answer. */
export interface DeviceReport {
  readonly user_id: string;
  readonly device_id: string;
  readonly exists: boolean;
  /** Times in milliseconds; null when the server does not know. */
  readonly last_seen_ts: number | null;
  readonly has_keys: boolean;
  readonly has_cross_signing: boolean;
  /** By its user's self-signing key. */
  readonly is_cross_signed: boolean;
  readonly one_time_keys: number;
  readonly has_unused_fallback_key: boolean;
  readonly messages_waiting: number;
  readonly oldest_message_ts: number | null;
  /** Whether its last sync told of the other's latest change of devices; null when it has not synced since the server started. */
  readonly knows_other: boolean | null;
}

/** What the server knows of why a device may be unable to decrypt what another sends. */
export interface PairReport {
  readonly shared_rooms: readonly { readonly room_id: string; readonly is_encrypted: boolean }[];
  readonly sender: DeviceReport;
  readonly receiver: DeviceReport;
}

const nameOf = ({ user_id: userId, device_id: deviceId }: DeviceReport): string => `${userId}'s device ${deviceId}`;
const timeOf = (ts: number): string => `${new Date(ts).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

const ofRooms = ({ shared_rooms: rooms, sender, receiver }: PairReport): string[] => {
  if (sender.user_id === receiver.user_id) return [];
  if (rooms.length === 0) return [`${sender.user_id} and ${receiver.user_id} share no room: nothing is encrypted for one another.`];
  const encrypted = rooms.filter((room) => room.is_encrypted).length;
  return encrypted === 0 ? [`Of the ${String(rooms.length)} rooms that they share none is encrypted.`] : [];
};

const ofDevice = (device: DeviceReport): string[] => {
  const name = nameOf(device);
  if (!device.exists) return [`${name} does not exist, or no more: it was deleted, or logged out.`];
  if (!device.has_keys) return [`${name} has published no keys: nobody can encrypt for it or know its messages for its own.`];
  if (!device.has_cross_signing) return [`${device.user_id} has no cross-signing keys: ${name} cannot be verified by way of its user.`];
  if (!device.is_cross_signed) return [`${name} is not signed by its user: clients that trust only signed devices leave it out.`];
  return [];
};

const ofReceiver = (device: DeviceReport): string[] => {
  const found: string[] = [];
  const name = nameOf(device);
  if (device.has_keys && device.one_time_keys === 0)
    found.push(
      device.has_unused_fallback_key
        ? `${name} has no one-time keys left; a fallback key that was never used takes their place.`
        : `${name} has no one-time keys left, and its fallback key was used or is missing: it has not synced for long, and new conversations with it may fail.`,
    );
  if (device.messages_waiting > 0) {
    const since = device.oldest_message_ts === null ? '' : `, the oldest since ${timeOf(device.oldest_message_ts)}`;
    const seen = device.last_seen_ts === null ? 'It was never seen.' : `It was last seen at ${timeOf(device.last_seen_ts)}.`;
    found.push(
      `${String(device.messages_waiting)} messages wait for ${name}${since}: keys may be among them that it has not fetched. ${seen}`,
    );
  }
  return found;
};

const ofLists = (device: DeviceReport, other: DeviceReport): string[] =>
  device.knows_other === false
    ? [`${nameOf(device)} has not been told yet that ${other.user_id}'s devices have changed: it encrypts for, and believes, the old ones.`]
    : [];

/** What may be the reason, in plain words; one sentence when nothing is. */
export const explainPair = (report: PairReport): string[] => {
  const { sender, receiver } = report;
  const found = [...ofRooms(report), ...ofDevice(sender), ...ofDevice(receiver)];
  if (sender.exists && receiver.exists) found.push(...ofReceiver(receiver), ...ofLists(sender, receiver), ...ofLists(receiver, sender));
  return found.length > 0
    ? found
    : ['Nothing on this server stands in the way: both have published keys, and there is nothing that either has still to fetch.'];
};
