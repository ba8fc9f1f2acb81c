// What no client should send. Kept as lists of plain words and lines, since what matters is to see them all at once.

const DEEP = 20_000;
const LONG = 'x'.repeat(3000);

const words = (text: string): string[] => text.trim().split(/\s+/);
const lines = (text: string): string[] => text.trim().split(/\n\s*/);

const COMMON_KEYS = words(`
  auth type identifier user username password user_id device_id reason room_version name topic preset invite initial_state creation_content
  power_level_content_override visibility room_alias_name is_direct invite_3pid membership displayname avatar_url join_rule users events ban
  users_default room event_fields timeline limit filter content redacts msgtype body search_categories device_keys one_time_keys messages typing
  m.relates_to m.mentions url algorithm history_visibility alias via third_party_signed session token refresh_token
`);

const WRONG_VALUES = [
  ...words('null true -1 0.5 1e300 9007199254740993 "" "\\u0000" "\\ud800" [] [[]] {} {"a":{"b":[]}}'),
  JSON.stringify(LONG),
];

const everyKeyIs = (value: string): string => `{${COMMON_KEYS.map((key) => `"${key}":${value}`).join(',')}}`;

const TEXTS = lines(String.raw`
  {
  [
  }
  []
  null
  true
  "text"
  12
  -
  {"a":
  {"a":1}}
  {a:1}
  {'a':1}
  {"a":01}
  {"a":NaN}
  {"a":1e999}
  {"a":-0}
  {"a":123456789012345678901234567890}
  {"a":1,"a":2}
  {"":""}
  {"a":"\ud800"}
  {"a":"\u0000"}
  {"__proto__":{"x":1}}
  {"constructor":{"prototype":{}}}
  {"toString":1,"hasOwnProperty":1}
`);

/** Request bodies: not JSON, not UTF-8, not what any schema asks for, or built to hurt a parser. */
export const BODIES: readonly Buffer[] = [
  '',
  ' ',
  '\ufeff{}',
  '['.repeat(DEEP) + ']'.repeat(DEEP),
  '{"a":'.repeat(DEEP) + '1' + '}'.repeat(DEEP),
  ...TEXTS,
  ...WRONG_VALUES.map(everyKeyIs),
]
  .map((text) => Buffer.from(text))
  .concat([Buffer.from('{"\xff\xfe":1}', 'latin1'), Buffer.from('"\xc0\x80"', 'latin1'), Buffer.from([0])]);

/** Parts of a path. */
export const SEGMENTS: readonly string[] = [
  ...words(`
    %00 %FF%FE %C0%80 %ED%A0%80 % %2 %zz ..%2F..%2Fetc%2Fpasswd %2e%2e %F0%9F%A6%9C __proto__ constructor ! @ $ %23 @: !:x
    @user%00:test.example -1 9007199254740993 1e400 null %20
  `),
  LONG,
  encodeURIComponent('💥'.repeat(200)),
];

export const QUERIES: readonly string[] = [
  ...words(`
    since=nonsense since=%00 from=-1&dir=b from=t1-1_0_0&dir=x dir=b&limit=-1 dir=b&limit=1e99 dir=f&limit=99999999999999999999 filter={
    filter=%7B%22room%22%3A1%7D filter=[] filter=9007199254740993 timeout=x full_state=maybe access_token= access_token=%00
    user_id=@nobody:test.example user_id=%FF a=1&a=2&dir=b&dir=f&limit=1&limit=2 at=nonsense&membership=join ts=-1&dir=f %=%&&==&__proto__=1
  `),
  `x=${LONG}`,
];

export const AUTHORIZATIONS: readonly string[] = [
  '',
  'Bearer',
  'Bearer ',
  'Bearer nonsense',
  'Bearer syt_a_b_c',
  'Bearer \u00ff\u00fe',
  'Basic YTpi',
  `Bearer ${LONG}`,
];

const TARGETS = words(String.raw`
  /../../../../etc/passwd //etc/passwd /_matrix/../../etc/passwd /_matrix/client/%2e%2e/%2e%2e/etc/passwd http://other.example/x *
  /_matrix/client/v3/rooms/%/state /\..\..\x /_matrix/client/versions#x
`);

const post = (headers: string, body: string): string => `POST /_matrix/client/v3/login HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n${body}`;

/** Bytes that are hardly HTTP, or that name files of the machine. */
export const REQUESTS: readonly string[] = [
  ...[...TARGETS, `/${'a'.repeat(100_000)}`, '/_matrix/client/v3/rooms/\u0001/state'].map(
    (target) => `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
  ),
  post('Content-Length: -1', '{}'),
  post('Content-Length: 99999999999999999999', '{}'),
  post('Content-Length: 2\r\nTransfer-Encoding: chunked', '{}'),
  post('Transfer-Encoding: chunked', 'zz\r\n{}\r\n0\r\n\r\n'),
  post('Content-Encoding: gzip\r\nContent-Length: 2\r\nConnection: close', '{}'),
  'GET /_matrix/client/versions HTTP/9.9\r\nHost: x\r\n\r\n',
  'nonsense\r\n\r\n',
  '\u0000\u0001\u0002',
];
