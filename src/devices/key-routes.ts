import { Type, type Schema } from '#src/platform/schema.ts';
import type { AccountAccess } from '#src/accounts/index.ts';
import { client, RawJson, route } from '#src/platform/http/route.ts';
import type { Route } from '#src/platform/http/route.ts';
import type { DeviceKeys } from '#src/devices/keys.ts';
import { KeyUpload } from '#src/devices/key-upload.ts';

const VERSIONS = ['v3', 'r0', 'unstable'];

/** Enough for all members of a large room at once. */
const MAX_USERS = 5000;

const byUser = <T extends Schema>(schema: T) => Type.Record(Type.String(), schema, { maxProperties: MAX_USERS });

/** How long clients wait for other servers unless they say otherwise, and at most, in milliseconds. */
const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_TIMEOUT_MS = 60_000;
const Timeout = Type.Optional(Type.Integer({ minimum: 0 }));
const timeoutOf = (timeout = DEFAULT_TIMEOUT_MS): number => Math.min(timeout, MAX_TIMEOUT_MS);

/** Uploading, asking for and claiming the keys of devices (client-server API, "End-to-End Encryption"). */
export const keyRoutes = ({ access, keys }: { access: Pick<AccountAccess, 'guest' | 'user'>; keys: DeviceKeys }): Route[] => [
  route({
    method: 'POST',
    path: client('/keys/upload', VERSIONS),
    access: access.guest,
    body: KeyUpload,
    handle: async ({ caller, body }) => ({ one_time_key_counts: await keys.upload(caller, body) }),
  }),
  route({
    method: 'POST',
    path: client('/keys/query', VERSIONS),
    access: access.guest,
    body: Type.Object({ device_keys: byUser(Type.Array(Type.String())), timeout: Timeout }),
    handle: async ({ caller, body }) => new RawJson(await keys.query(caller, body.device_keys, timeoutOf(body.timeout))),
  }),
  route({
    method: 'POST',
    path: client('/keys/claim', VERSIONS),
    access: access.guest,
    body: Type.Object({ one_time_keys: byUser(Type.Record(Type.String(), Type.String())), timeout: Timeout }),
    handle: async ({ body }) => new RawJson(await keys.claim(body.one_time_keys, timeoutOf(body.timeout))),
  }),
];
