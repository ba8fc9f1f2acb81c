import type { AccountAccess, Requester } from '#src/accounts/index.ts';
import type { RateLimiters } from '#src/platform/http/rate-limits.ts';
import { client, route, UNSTABLE_TOO, type Route } from '#src/platform/http/route.ts';
import { Type } from '#src/platform/schema.ts';
import type { Reports } from '#src/reports/service.ts';

const MAX_BODY_BYTES = 65_536;

const EventBody = Type.Object({
  reason: Type.Optional(Type.String()),
  score: Type.Optional(Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER })),
});
const ReasonBody = Type.Object({ reason: Type.String() });

/** Reporting (client-server API, "Reporting Content"). */
export const reportRoutes = ({
  access,
  reports,
  limiters,
}: {
  access: Pick<AccountAccess, 'user'>;
  reports: Reports;
  limiters: Pick<RateLimiters, 'of'>;
}): Route[] => {
  const limit = limiters.of('rc_reports').by(({ userId }: Requester) => userId);
  return [
    route({
      method: 'POST',
      path: client('/rooms/:roomId/report/:eventId', UNSTABLE_TOO),
      access: access.user,
      limit,
      body: EventBody,
      bodyLimit: MAX_BODY_BYTES,
      handle: async ({ caller, params, body }) => {
        await reports.reportEvent(caller, params.roomId, params.eventId, body);
        return {};
      },
    }),
    route({
      method: 'POST',
      path: client('/rooms/:roomId/report', ['v3']),
      access: access.user,
      limit,
      body: ReasonBody,
      bodyLimit: MAX_BODY_BYTES,
      handle: async ({ caller, params, body }) => {
        await reports.reportRoom(caller, params.roomId, body.reason);
        return {};
      },
    }),
    route({
      method: 'POST',
      path: client('/users/:userId/report', ['v3']),
      access: access.user,
      limit,
      body: ReasonBody,
      bodyLimit: MAX_BODY_BYTES,
      handle: async ({ caller, params, body }) => {
        await reports.reportUser(caller, params.userId, body.reason);
        return {};
      },
    }),
  ];
};
