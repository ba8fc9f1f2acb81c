import type { Pdu } from '#src/protocol/events.ts';
import { clampedInteger } from '#src/protocol/json.ts';
import type { RoomVersion } from '#src/protocol/room-versions.ts';

/** However far ahead a server says that its key is valid, it is asked again after seven days: so a stolen key can be withdrawn. */
export const MAX_KEY_VALIDITY_MS = 7 * 24 * 60 * 60 * 1000;

/**
 * Until when a key counts, in milliseconds: its `valid_until_ts`, but no more than seven days from when it was fetched; for one of
 * `old_verify_keys` pass its `expired_ts` (server-server API, Retrieving server keys).
 */
export const keyValidUntil = (claimedTs: number, fetchedTs: number): number => Math.min(claimedTs, fetchedTs + MAX_KEY_VALIDITY_MS);

/**
 * The time at which the keys that signed an event must be valid: from room version 5 its `origin_server_ts`, within ±(2^53 − 1). `undefined`
 * before: there any key that the server has ever had will do (room version 5, Signing key validity period).
 */
export const signedAt = ({ origin_server_ts: ts }: Pick<Pdu, 'origin_server_ts'>, version: RoomVersion): number | undefined =>
  version.enforcesKeyValidity ? clampedInteger(ts) : undefined;

/** Whether a key that counts until `validUntilTs` may vouch for what was signed at a time, or at no matter which. */
export const isKeyValidAt = (validUntilTs: number, atTs: number | undefined): boolean => atTs === undefined || atTs <= validUntilTs;
