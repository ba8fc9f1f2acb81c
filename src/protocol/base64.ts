const ALPHABETS = /^[A-Za-z0-9+/_-]*={0,2}$/;

/** Unpadded Base64 in the standard alphabet (appendices, Unpadded Base64). */
export const encodeBase64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');

/** Unpadded Base64 in the URL-safe alphabet. */
export const encodeUrlSafeBase64 = (bytes: Buffer): string => bytes.toString('base64url');

/** The bytes of Base64 in either alphabet, padded or not; `undefined` when it is not Base64. */
export const decodeBase64 = (text: string): Buffer | undefined => {
  if (!ALPHABETS.test(text)) return undefined;
  const unpadded = text.replace(/=+$/, '');
  return unpadded.length % 4 === 1 ? undefined : Buffer.from(unpadded, 'base64');
};
