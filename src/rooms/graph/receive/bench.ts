import type { RoomVersion } from '#src/protocol/room-versions.ts';
import type { Drafted, DraftTools, Head } from '#src/rooms/graph/draft.ts';
import type { RoomEvent, RoomInfo } from '#src/rooms/graph/events.ts';
import type { EventPolicy } from '#src/rooms/graph/receive/policy.ts';
import type { ResolveTools } from '#src/rooms/graph/resolve.ts';
import type { Pending, RoomReads } from '#src/rooms/graph/view.ts';

/** What receiving needs of the house. */
export type ReceiveTools = DraftTools & ResolveTools & { readonly eventPolicy: EventPolicy };

/** A batch at work on a room. */
export interface Workbench {
  readonly tools: ReceiveTools;
  readonly room: RoomInfo;
  readonly version: RoomVersion;
  readonly pending: Pending;
  readonly reads: RoomReads;
  /** True for a room that is being made. */
  readonly isNew: boolean;
}

/** What a step has made: events to write, others that it has changed, and where the room stands now. */
export interface Made {
  readonly drafted: readonly Drafted[];
  readonly revised: readonly RoomEvent[];
  readonly head: Head;
}

/** A room at work, for steps that put events of others into it. */
export interface Workshop {
  /** Does a step on top of what the command has done so far, and judges again what lacked the events that it brought. */
  make(step: (bench: Workbench, head: Head) => Promise<Made | undefined>): Promise<Made | undefined>;
}
