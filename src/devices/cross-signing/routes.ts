import type { AccountAccess, Confirm } from '#src/accounts/index.ts';
import { Answer, client, route } from '#src/platform/http/route.ts';
import type { Route } from '#src/platform/http/route.ts';
import { Type } from '#src/platform/schema.ts';
import { badJson } from '#src/protocol/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '#src/protocol/json.ts';
import type { KeySignatures } from '#src/devices/cross-signing/signatures.ts';
import type { SigningKeys, UploadedKeys } from '#src/devices/cross-signing/upload.ts';

const AnyObject = Type.Record(Type.String(), Type.Unknown());

/** The keys in a body; throws `M_BAD_JSON` for what is no object. */
const keysIn = (body: Readonly<Record<string, unknown>>): UploadedKeys => {
  const keyNamed = (name: string): JsonObject | undefined => {
    const value = body[name] as JsonValue | undefined;
    if (value !== undefined && !isJsonObject(value)) throw badJson(`${name} must be an object`);
    return value;
  };
  const [master, selfSigning, userSigning] = [keyNamed('master_key'), keyNamed('self_signing_key'), keyNamed('user_signing_key')];
  return {
    ...(master !== undefined && { master }),
    ...(selfSigning !== undefined && { self_signing: selfSigning }),
    ...(userSigning !== undefined && { user_signing: userSigning }),
  };
};

/** Uploading cross-signing keys and signatures (client-server API, "Cross-signing"). */
export const crossSigningRoutes = ({
  access,
  confirm,
  signingKeys,
  signatures,
}: {
  access: Pick<AccountAccess, 'guest' | 'user'>;
  confirm: Confirm;
  signingKeys: SigningKeys;
  signatures: KeySignatures;
}): Route[] => [
  route({
    method: 'POST',
    path: client('/keys/device_signing/upload', ['v3', 'unstable']),
    access: access.user,
    body: AnyObject,
    handle: async ({ caller, body, request }) => {
      const { auth, ...params } = body;
      if ((await signingKeys.upload(caller, keysIn(params), false)) === 'stored') return {};
      const interaction = await confirm(caller, { method: request.method, uri: request.url, auth, params });
      if (!interaction.done) return new Answer(401, interaction.body);
      await signingKeys.upload(caller, keysIn(params), true);
      return {};
    },
  }),
  route({
    method: 'POST',
    path: client('/keys/signatures/upload', ['v3', 'r0', 'unstable']),
    access: access.guest,
    body: AnyObject,
    handle: async ({ caller, body }) => ({ failures: await signatures.upload(caller, body as Record<string, JsonValue>) }),
  }),
];
