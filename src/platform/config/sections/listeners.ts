import { block, list, mapOf } from '#src/platform/config/blocks.ts';
import { fileMode } from '#src/platform/config/formats.ts';
import { INVALID, anything, boolean, integer, key, oneOf, path, required, string, type Kind } from '#src/platform/config/kinds.ts';
import type { Rules } from '#src/platform/config/rules.ts';

export const RESOURCES = [
  'client',
  'consent',
  'federation',
  'health',
  'keys',
  'media',
  'metrics',
  'openid',
  'replication',
  'static',
] as const;
const PORTS = { min: 1, max: 65_535 };

/** `0` lets the system choose a port, which tests like. */
const listenerPort = integer(undefined, { min: 0, max: 65_535 });

const types = oneOf(['http', 'metrics', 'manhole']);

/** Names the way out for the kinds of listener that Synapse once had. */
const listenerType: Kind<'http' | 'metrics' | 'manhole' | undefined> = {
  ...types,
  read: (raw, place) => {
    if (raw === 'replication')
      place.refuse('found "replication"; workers talk over Redis since Synapse 1.67: remove this listener and set redis.enabled: true');
    else if (raw === 'webclient')
      place.refuse('found "webclient"; Synapse brings no web client since 1.53: remove this listener and set web_client_location');
    else return types.read(raw, place);
    return INVALID;
  },
};

const modulesByPath = mapOf(
  block({
    module: key(required(string()), 'The Python class of the handler.'),
    config: key(mapOf(anything()), 'Settings of the handler.'),
  }),
);

export const listener = block({
  port: key(listenerPort, 'The TCP port to listen on.', { acts: true }),
  path: key(path(), 'The unix socket to listen on, instead of a port.', { acts: true }),
  mode: key(fileMode(0o666), 'The permissions of the unix socket.', { acts: true }),
  bind_addresses: key(list(string()), 'The addresses to listen on; by default all (for `type: metrics` all of IPv4).', { acts: true }),
  bind_address: key(string(), 'One more address, from before there was `bind_addresses`.', { acts: true }),
  type: key(
    required(listenerType),
    '`http` for everything that speaks Matrix, `metrics` for Prometheus alone, `manhole` for a debugging console.',
    { acts: true },
  ),
  tls: key(boolean(false), 'Whether to speak TLS, with `tls_certificate_path` and `tls_private_key_path`.', { acts: true }),
  x_forwarded: key(
    boolean(),
    'Whether to believe the `X-Forwarded-For` and `X-Forwarded-Proto` headers, as behind a reverse proxy. False by default, true on a unix socket.',
    {
      acts: true,
    },
  ),
  request_id_header: key(string(), 'The header whose value becomes the id of the request in the logs.', { acts: true }),
  tag: key(string(), 'The name of this listener in logs and metrics; by default its port.', { acts: true }),
  experimental_cors_msc3886: key(boolean(false), 'Headers for an abandoned draft of QR code login.'),
  resources: key(
    list(
      block({
        names: key(list({ ...oneOf(RESOURCES) }), `What is served: ${RESOURCES.join(', ')}.`, { acts: true }),
        compress: key(boolean(false), 'Whether to compress the answers.', { acts: true }),
      }),
    ),
    'What this listener serves.',
  ),
  additional_resources: key(modulesByPath, 'Further handlers, by path.'),
});

/** One listener of `type: http` or `metrics`, as it is written in the file. */
export type ListenerBlock = Exclude<(typeof listener)['unset'], undefined>;

export const listenerKeys = {
  listeners: key(list(listener), 'Where the server listens, and what it serves there.'),
  no_tls: key(boolean(false), 'Drops every listener that speaks TLS; an older key.', { acts: true }),
  bind_port: key(
    integer(undefined, PORTS),
    'From before there was `listeners`: a TLS port for clients and federation, instead of all listeners.',
    { acts: true },
  ),
  bind_host: key(string(''), 'The address for `bind_port`.', { acts: true }),
  unsecure_port: key(integer(undefined, { min: 0, max: 65_535 }), 'A plain port beside `bind_port`; by default 400 below it, 0 for none.', {
    acts: true,
  }),
  gzip_responses: key(boolean(true), 'Whether to compress answers on these ports.'),
  manhole: key(integer(undefined, PORTS), 'A port of 127.0.0.1 for the debugging console.'),
  manhole_settings: key(
    block(
      {
        username: key(string('matrix'), 'The user who may log in.'),
        password: key(string('rabbithole'), 'Its password.'),
        ssh_priv_key_path: key(path(), 'The private host key of the console.'),
        ssh_pub_key_path: key(path(), 'The public host key of the console.'),
      },
      { strict: true },
    ),
    'The login of the debugging console.',
  ),
  metrics_port: key(integer(undefined, PORTS), 'A port for Prometheus, from before there was `type: metrics`.', { acts: true }),
  metrics_bind_host: key(string('127.0.0.1'), 'The address for `metrics_port`.', { acts: true }),
} as const;

export const listenerRules: Rules = (config, report) => {
  const check = (listeners: readonly ListenerBlock[], name: string): void => {
    for (const [index, item] of listeners.entries()) {
      const place = report.at(`${name}[${String(index)}]`);
      if ((item.port === undefined) === (item.path === undefined))
        place.refuse('needs either a port or a path (of a unix socket), and not both');
      if (item.tls && item.path !== undefined) place.child('tls').refuse('TLS cannot be spoken on a unix socket; set tls: false');
      if (!item.tls || config.no_tls) continue;
      for (const needed of ['tls_certificate_path', 'tls_private_key_path'] as const) {
        if (config[needed] === undefined) place.child('tls').refuse(`needs ${needed}`);
      }
    }
  };
  check(config.listeners, 'listeners');
  check(config.worker_listeners, 'worker_listeners');
  if (config.no_tls && config.bind_port !== undefined)
    report.at('no_tls').refuse('cannot be true with bind_port, which is a TLS port; describe the ports under listeners');
  if (config.metrics_port !== undefined) report.at('metrics_port').warn('is deprecated; use a listener of type metrics');
};
