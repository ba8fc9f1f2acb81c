/** Fields that some errors carry beside `errcode` and `error`, such as `retry_after_ms` or `soft_logout`. */
export type ErrorFields = Readonly<Record<string, unknown>>;

/**
 * An expected failure with the status and error code that the specification gives it.
 * The HTTP layer turns it into `{errcode, error, ...fields}`; nothing else becomes a client's answer.
 */
export class MatrixError extends Error {
  override readonly name = 'MatrixError';
  readonly status: number;
  readonly errcode: string;
  readonly fields: ErrorFields;

  constructor(status: number, errcode: string, message: string, fields: ErrorFields = {}) {
    super(message);
    this.status = status;
    this.errcode = errcode;
    this.fields = fields;
  }
}

type Thrower = (message: string, fields?: ErrorFields) => MatrixError;

const failure =
  (status: number, errcode: string): Thrower =>
  (message, fields) =>
    new MatrixError(status, errcode, message, fields);

// One line per failure that the client-server and server-server APIs name; call sites read `throw forbidden('…')`.

export const badJson = failure(400, 'M_BAD_JSON');
export const notJson = failure(400, 'M_NOT_JSON');
export const missingParam = failure(400, 'M_MISSING_PARAM');
export const invalidParam = failure(400, 'M_INVALID_PARAM');
export const unknown = failure(400, 'M_UNKNOWN');
export const badState = failure(403, 'M_BAD_STATE');
export const invalidUsername = failure(400, 'M_INVALID_USERNAME');
export const userInUse = failure(400, 'M_USER_IN_USE');
export const roomInUse = failure(400, 'M_ROOM_IN_USE');
export const duplicateAnnotation = failure(400, 'M_DUPLICATE_ANNOTATION');
export const badAlias = failure(400, 'M_BAD_ALIAS');
export const unsupportedRoomVersion = failure(400, 'M_UNSUPPORTED_ROOM_VERSION');
export const incompatibleRoomVersion = failure(400, 'M_INCOMPATIBLE_ROOM_VERSION');
export const unableToAuthoriseJoin = failure(400, 'M_UNABLE_TO_AUTHORISE_JOIN');
export const unableToGrantJoin = failure(400, 'M_UNABLE_TO_GRANT_JOIN');
export const keyTooLarge = failure(400, 'M_KEY_TOO_LARGE');
export const profileTooLarge = failure(400, 'M_PROFILE_TOO_LARGE');
export const threepidAuthFailed = failure(400, 'M_THREEPID_AUTH_FAILED');
export const threepidMediumNotSupported = failure(400, 'M_THREEPID_MEDIUM_NOT_SUPPORTED');
export const missingToken = failure(401, 'M_MISSING_TOKEN');
export const unknownToken = failure(401, 'M_UNKNOWN_TOKEN');
export const unauthorized = failure(401, 'M_UNAUTHORIZED');
export const forbidden = failure(403, 'M_FORBIDDEN');
export const guestAccessForbidden = failure(403, 'M_GUEST_ACCESS_FORBIDDEN');
export const userDeactivated = failure(403, 'M_USER_DEACTIVATED');
export const serverNotTrusted = failure(403, 'M_SERVER_NOT_TRUSTED');
export const notFound = failure(404, 'M_NOT_FOUND');
export const unrecognized = failure(404, 'M_UNRECOGNIZED');
export const methodNotAllowed = failure(405, 'M_UNRECOGNIZED');
export const aliasExists = failure(409, 'M_UNKNOWN');
export const tooLarge = failure(413, 'M_TOO_LARGE');

/** Too many requests; `retryAfterMs` is how long the client should wait. */
export const limitExceeded = (retryAfterMs: number): MatrixError =>
  new MatrixError(429, 'M_LIMIT_EXCEEDED', 'Too Many Requests', { retry_after_ms: Math.ceil(retryAfterMs) });
