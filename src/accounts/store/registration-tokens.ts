import { sql } from '#src/platform/database/sql.ts';
import type { Reader, Transaction } from '#src/platform/database/types.ts';

export interface RegistrationTokenRow {
  readonly token: string;
  readonly uses_allowed: number | null;
  readonly pending: number;
  readonly completed: number;
  readonly expiry_time: number | null;
}

/** A registration token by its text. */
export const readRegistrationToken = (reader: Reader, token: string): Promise<RegistrationTokenRow | undefined> =>
  reader.one<RegistrationTokenRow>(sql`
    SELECT token, uses_allowed, pending, completed, expiry_time FROM registration_tokens WHERE token = ${token}`);

/** Adds a token; answers false when its text is taken. */
export const insertRegistrationToken = async (tx: Transaction, row: RegistrationTokenRow): Promise<boolean> => {
  const added = await tx.run(sql`
    INSERT INTO registration_tokens (token, uses_allowed, pending, completed, expiry_time)
    VALUES (${row.token}, ${row.uses_allowed}, ${row.pending}, ${row.completed}, ${row.expiry_time})
    ON CONFLICT DO NOTHING`);
  return added === 1;
};

/** Moves a token's counters; a token that was deleted meanwhile is no error. */
export const countRegistrationToken = async (
  tx: Transaction,
  token: string,
  change: { pending: number; completed: number },
): Promise<void> => {
  await tx.run(sql`
    UPDATE registration_tokens SET pending = pending + ${change.pending}, completed = completed + ${change.completed}
    WHERE token = ${token}`);
};
