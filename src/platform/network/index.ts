export { systemDns } from '#src/platform/network/dns.ts';
export type { Address, Dns, SrvRecord } from '#src/platform/network/dns.ts';
export { createHttpClient, OutgoingError } from '#src/platform/network/http-client.ts';
export type { HttpClient, OpenAnswer, OutgoingAnswer, OutgoingFault, OutgoingRequest } from '#src/platform/network/http-client.ts';
export { createIpPolicy } from '#src/platform/network/ip-policy.ts';
export type { IpPolicy } from '#src/platform/network/ip-policy.ts';
export { proxiesOf } from '#src/platform/network/proxies.ts';
