export { crossSigningRoutes } from '#src/devices/cross-signing/routes.ts';
export { createKeySignatures } from '#src/devices/cross-signing/signatures.ts';
export { deleteCrossSigningOf } from '#src/devices/cross-signing/store.ts';
export { createSigningKeys } from '#src/devices/cross-signing/upload.ts';
export type { SigningKeys } from '#src/devices/cross-signing/upload.ts';
export { createKeyMemory } from '#src/devices/key-memory.ts';
export { keyRoutes } from '#src/devices/key-routes.ts';
export { createFirstKeys } from '#src/devices/first-keys.ts';
export type { FirstKeys } from '#src/devices/first-keys.ts';
export { KeyUpload } from '#src/devices/key-upload.ts';
export { createKnownDevices } from '#src/devices/known-devices.ts';
export type { KnownDevices } from '#src/devices/known-devices.ts';
export { createDeviceKeys } from '#src/devices/keys.ts';
export type { DeviceKeys } from '#src/devices/keys.ts';
export type { PublishedKeys, UserKeys } from '#src/devices/published-keys.ts';
export { countRemoteDevices, deleteRemoteKeys, MAX_REMOTE_DEVICES, putRemoteDevice, replaceRemoteKeys } from '#src/devices/remote-keys.ts';
export type { Failure, Failures, RemoteKeys } from '#src/devices/remote-keys.ts';
export type { RemainingKeys } from '#src/devices/remaining-keys.ts';
export {
  DEVICE_LISTS_STREAM,
  noteListChange,
  readChangedLists,
  readLastChange,
  readListChanges,
  readSignedUsers,
  readSigners,
} from '#src/devices/list-log.ts';
export { devicePort } from '#src/devices/port.ts';
export type { OnDevicesRemoved } from '#src/devices/port.ts';
export { createRenewDevice, renewKeys } from '#src/devices/renew-keys.ts';
export type { RenewedKeys } from '#src/devices/renew-keys.ts';
export { deviceIdsIn, deviceRoutes } from '#src/devices/routes.ts';
export { createDevices } from '#src/devices/service.ts';
export type { Device, Devices } from '#src/devices/service.ts';
