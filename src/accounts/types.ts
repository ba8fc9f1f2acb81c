import type { Transaction } from '#src/platform/database/types.ts';

/** Who makes a request. */
export interface Requester {
  readonly userId: string;
  readonly userNum: number;
  /** Undefined for a session that has no device. */
  readonly deviceId: string | undefined;
  readonly sessionNum: number | undefined;
  readonly isGuest: boolean;
  readonly isAdmin: boolean;
}

/** A user of this server. */
export interface User {
  readonly userNum: number;
  readonly userId: string;
  readonly localpart: string;
  /** Undefined when the user cannot log in with a password. */
  readonly passwordHash: string | undefined;
  readonly createdTs: number;
  readonly isGuest: boolean;
  readonly isAdmin: boolean;
  readonly deactivated: boolean;
  readonly userType: string | undefined;
}

/** Where a device was last seen. */
export interface DeviceSeen {
  readonly ip: string;
  /** Milliseconds since the epoch. */
  readonly ts: number;
  readonly userAgent: string;
}

/** What accounts ask of the devices, which live above them. */
export interface DevicePort {
  /** Adds a device unless it exists; answers whether it is new. Throws `M_TOO_LARGE` for a display name over 100 characters. */
  readonly add: (tx: Transaction, device: { userNum: number; deviceId: string; displayName: string | undefined }) => Promise<boolean>;
  /** Deletes devices with all that belongs to them. */
  readonly remove: (tx: Transaction, userNum: number, deviceIds: readonly string[]) => Promise<void>;
  /** Deletes all of a user's devices but one. */
  readonly removeAll: (tx: Transaction, userNum: number, exceptDevice?: string) => Promise<void>;
}

/** What accounts ask of the profiles, which live above them. */
export interface ProfilePort {
  /** Gives a new user a profile; an existing one is left as it is. */
  readonly create: (tx: Transaction, userNum: number, displayname: string | undefined) => Promise<void>;
  /** Removes name and avatar. */
  readonly clear: (tx: Transaction, userNum: number) => Promise<void>;
}

/** What a log-in or registration answers when it made a session. */
export interface LoginResult {
  readonly user_id: string;
  readonly home_server: string;
  readonly access_token?: string;
  readonly device_id?: string;
  readonly expires_in_ms?: number;
  readonly refresh_token?: string;
}

/** Work that has to be done now and then, by whoever owns the clock of the process. */
export interface Job {
  readonly name: string;
  readonly everyMs: number;
  readonly run: () => Promise<void>;
}
