export { changeId, deviceText, isKeepableId } from '#src/federation/device-keys/answers.ts';
export { createAskForKeys } from '#src/federation/device-keys/asking.ts';
export { peerKeyRoutes } from '#src/federation/device-keys/routes.ts';
