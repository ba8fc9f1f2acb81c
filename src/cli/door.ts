import type { Homeserver as RunningHomeserver, startHomeserver } from '#src/homeserver.ts';

/** What the command line uses of a homeserver that runs. */
export type Homeserver = Pick<RunningHomeserver, 'urls' | 'createRegistrationToken' | 'reload' | 'stop'>;

export interface Door {
  readonly startHomeserver: (...given: Parameters<typeof startHomeserver>) => Promise<Homeserver>;
}

/** Loads the homeserver itself; a command that does not run it does without. */
export const openDoor = (): Promise<Door> => import('#src/homeserver.ts');
