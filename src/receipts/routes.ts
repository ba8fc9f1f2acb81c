import { Type } from '#src/platform/schema.ts';
import type { AccountAccess } from '#src/accounts/index.ts';
import { client, route, type Route } from '#src/platform/http/route.ts';
import { invalidParam } from '#src/protocol/errors.ts';
import { isEventId } from '#src/protocol/identifiers.ts';
import { type ReadMark, RECEIPT_TYPES, type Receipts, type ReceiptType } from '#src/receipts/service.ts';

const VERSIONS = ['v3', 'r0', 'unstable'];

const isReceiptType = (text: string): text is ReceiptType => (RECEIPT_TYPES as readonly string[]).includes(text);

const markOf = (type: string, eventId: unknown, threadId?: unknown): ReadMark => {
  if (!isReceiptType(type)) throw invalidParam(`Receipt type must be one of ${RECEIPT_TYPES.map((each) => `'${each}'`).join(', ')}`);
  if (!isEventId(eventId)) throw invalidParam('An event ID is missing or not valid');
  if (threadId === undefined) return { type, eventId, threadId: undefined };
  if (type === 'm.fully_read') throw invalidParam(`thread_id is not compatible with ${type} receipts.`);
  if (typeof threadId !== 'string' || threadId === '') throw invalidParam('thread_id field must be a non-empty string');
  return { type, eventId, threadId };
};

/** Client-server API, "Receipts" and "Read and unread markers". */
export const receiptRoutes = ({ access, receipts }: { access: Pick<AccountAccess, 'user'>; receipts: Receipts }): Route[] => [
  route({
    method: 'POST',
    path: client('/rooms/:roomId/receipt/:receiptType/:eventId', VERSIONS),
    access: access.user,
    body: Type.Optional(Type.Object({ thread_id: Type.Optional(Type.Unknown()) })),
    handle: async ({ caller, params, body }) => {
      await receipts.mark(caller, params.roomId, [markOf(params.receiptType, params.eventId, body?.thread_id)]);
      return {};
    },
  }),
  route({
    method: 'POST',
    path: client('/rooms/:roomId/read_markers', VERSIONS),
    access: access.user,
    body: Type.Object(Object.fromEntries(RECEIPT_TYPES.map((type) => [type, Type.Optional(Type.Unknown())]))),
    handle: async ({ caller, params, body }) => {
      const given = body as Readonly<Partial<Record<ReceiptType, unknown>>>;
      const marks = RECEIPT_TYPES.flatMap((type) => (given[type] === undefined || given[type] === null ? [] : [markOf(type, given[type])]));
      await receipts.mark(caller, params.roomId, marks);
      return {};
    },
  }),
];
