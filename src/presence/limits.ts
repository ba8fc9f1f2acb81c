/** What a user may say of how things are, in bytes of UTF-8. */
export const MAX_STATUS_BYTES = 4096;
