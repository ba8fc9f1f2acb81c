import type { AccountAccess } from '#src/accounts/index.ts';
import { at, RawJson, route, type Route } from '#src/platform/http/route.ts';
import { Type } from '#src/platform/schema.ts';
import { invalidParam, notFound } from '#src/protocol/errors.ts';
import type { ReportPage, ReportReading } from '#src/reports/index.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

const PART = {
  from: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
  limit: Type.Optional(Type.Integer({ minimum: 0 })),
  dir: Type.Optional(Type.Union([Type.Literal('b'), Type.Literal('f')])),
  user_id: Type.Optional(Type.String()),
};

interface PartQuery {
  readonly from?: number;
  readonly limit?: number;
  readonly dir?: 'b' | 'f';
}

const partOf = ({ from = 0, limit = DEFAULT_LIMIT, dir = 'b' }: PartQuery) => ({
  offset: from,
  limit: Math.min(limit, MAX_LIMIT),
  oldestFirst: dir === 'f',
});

/** A page under the name that its list has, with where the next one begins. */
const pageAs = (name: string, { reports, total }: ReportPage<unknown>, query: PartQuery): object => {
  const { offset, limit } = partOf(query);
  return { [name]: reports, total, ...(offset + limit < total && { next_token: offset + reports.length }) };
};

const numberOf = (text: string): number => {
  if (!/^\d+$/.test(text)) throw invalidParam('The report_id parameter must be a string representing a positive integer.');
  return Math.min(Number(text), Number.MAX_SAFE_INTEGER);
};

const EVENTS = '/_synapse/admin/v1/event_reports';
const USERS = '/_synapse/admin/v1/user_reports';

type Tools = { readonly access: Pick<AccountAccess, 'admin'>; readonly reports: ReportReading };

const eventReportRoutes = ({ access, reports }: Tools): Route[] => [
  route({
    method: 'GET',
    path: at(EVENTS),
    access: access.admin,
    query: Type.Object({ ...PART, room_id: Type.Optional(Type.String()), event_sender_user_id: Type.Optional(Type.String()) }),
    handle: async ({ query }) => {
      const filter = { reporter: query.user_id ?? '', room: query.room_id ?? '', sender: query.event_sender_user_id ?? '' };
      return pageAs('event_reports', await reports.events(filter, partOf(query)), query);
    },
  }),
  route({
    method: 'GET',
    path: at(`${EVENTS}/:reportId`),
    access: access.admin,
    handle: async ({ params }) => {
      const found = await reports.event(numberOf(params.reportId));
      if (found === undefined) throw notFound('Event report not found');
      return new RawJson(`${JSON.stringify(found.report).slice(0, -1)},"event_json":${found.pdu}}`);
    },
  }),
  route({
    method: 'DELETE',
    path: at(`${EVENTS}/:reportId`),
    access: access.admin,
    handle: async ({ params }) => {
      if (!(await reports.removeEvent(numberOf(params.reportId)))) throw notFound('Event report not found');
      return {};
    },
  }),
];

const userReportRoutes = ({ access, reports }: Tools): Route[] => [
  route({
    method: 'GET',
    path: at(USERS),
    access: access.admin,
    query: Type.Object({ ...PART, target_user_id: Type.Optional(Type.String()) }),
    handle: async ({ query }) => {
      const filter = { reporter: query.user_id ?? '', target: query.target_user_id ?? '' };
      return pageAs('user_reports', await reports.users(filter, partOf(query)), query);
    },
  }),
  route({
    method: 'GET',
    path: at(`${USERS}/:reportId`),
    access: access.admin,
    handle: async ({ params }) => {
      const report = await reports.user(numberOf(params.reportId));
      if (report === undefined) throw notFound('User report not found');
      return report;
    },
  }),
  route({
    method: 'DELETE',
    path: at(`${USERS}/:reportId`),
    access: access.admin,
    handle: async ({ params }) => {
      if (!(await reports.removeUser(numberOf(params.reportId)))) throw notFound('User report not found');
      return {};
    },
  }),
];

/** What users have reported (Synapse's admin API, "Show reported events" and of users). */
export const adminReportRoutes = (tools: Tools): Route[] => [...eventReportRoutes(tools), ...userReportRoutes(tools)];
