import { block, list, mapOf, optional } from '#src/platform/config/blocks.ts';
import { stringOrList } from '#src/platform/config/formats.ts';
import { boolean, ignored, integer, key, path, refused, string } from '#src/platform/config/kinds.ts';
import { notBoth, type Rules } from '#src/platform/config/rules.ts';
import { listener } from '#src/platform/config/sections/listeners.ts';

const MAIN = ['master'];
const writer = (what: string) => key(stringOrList(MAIN), `Who writes ${what}.`);

const streamWriters = block(
  {
    events: writer('events; may be several'),
    typing: writer('who is typing'),
    to_device: writer('messages to devices'),
    account_data: writer('account data'),
    receipts: writer('read receipts; may be several'),
    presence: writer('presence'),
    push_rules: writer('push rules'),
    device_lists: writer('device lists; may be several'),
    thread_subscriptions: writer('subscriptions to threads'),
    quarantined_media_changes: writer('what media are quarantined'),
  },
  { strict: true },
);

const ONE_WRITER = [
  'typing',
  'to_device',
  'account_data',
  'presence',
  'push_rules',
  'thread_subscriptions',
  'quarantined_media_changes',
] as const;

const instance = block(
  {
    host: key(string(), 'Its host.'),
    port: key(integer(undefined, { min: 1, max: 65_535 }), 'Its port.'),
    tls: key(boolean(false), 'Whether it speaks TLS.'),
    path: key(path(), 'Its unix socket, instead of host and port.'),
  },
  { strict: true },
);

const redis = block({
  enabled: key(boolean(false), 'Whether Redis is used; needed with workers.'),
  host: key(string('localhost'), 'Its host.'),
  port: key(integer(6379, { min: 1, max: 65_535 }), 'Its port.'),
  path: key(path(), 'Its unix socket, instead of host and port.'),
  password: key(string(), 'Its password.'),
  password_path: key(path(), 'A file that holds the password.'),
  dbid: key(integer(), 'The number of the database in it.'),
  use_tls: key(boolean(false), 'Whether to speak TLS with it.'),
  certificate_file: key(path(), 'The certificate to show.'),
  private_key_file: key(path(), 'Its private key.'),
  ca_file: key(path(), 'The authority to trust.'),
  ca_path: key(path(), 'A folder with authorities to trust.'),
});

/** As `listeners`; without the marks of its keys, because Myelin does not read these yet. */
const { children: _described, ...workerListeners } = list(listener);

export const workerKeys = {
  worker_app: key(
    string(),
    'What kind of worker this process is. `synapse.app.homeserver` is the main process, and the only kind that Myelin runs as yet.',
    { acts: true },
  ),
  worker_name: key(string(), 'The name of this worker.'),
  worker_listeners: key(workerListeners, 'Where the worker listens.'),
  worker_daemonize: key(boolean(false), 'Whether the worker goes to the background.'),
  worker_pid_file: key(path(), 'Where the worker writes its process id.'),
  worker_log_config: key(path(), 'The logging file of the worker.'),
  worker_manhole: key(integer(), "A port of 127.0.0.1 for the worker's debugging console."),
  worker_replication_host: key(string(), 'The host of the main process; newer configurations say so in `instance_map`.'),
  worker_replication_http_port: key(integer(), 'The port of the main process for that.'),
  worker_replication_http_tls: key(boolean(false), 'Whether it speaks TLS.'),
  worker_replication_port: key(
    refused(
      'was removed in Synapse 1.67; workers talk over Redis: remove this key and set redis.enabled: true and worker_replication_http_port',
    ),
    'Refused, as by Synapse.',
  ),
  worker_replication_secret: key(string(), 'The secret with which the processes recognise each other.'),
  worker_replication_secret_path: key(path(), 'A file that holds it.'),
  worker_main_http_uri: key(ignored('workers reach the main process over worker_replication_http_port'), 'A relic.'),
  start_pushers: key(boolean(true), 'Whether the main process sends push notifications; an older key.', { acts: true }),
  pusher_instances: key(optional(list(string())), 'The workers that send push notifications.'),
  send_federation: key(boolean(true), 'Whether the main process sends to other servers; an older key.'),
  federation_sender_instances: key(optional(list(string())), 'The workers that send to other servers.'),
  instance_map: key(mapOf(instance), 'Where the workers are reached, by name.'),
  stream_writers: key(streamWriters, 'Which worker writes which stream.'),
  outbound_federation_restricted_to: key(optional(list(string())), 'The only workers that connect to other servers.'),
  run_background_tasks_on: key(string('master'), 'The worker for periodic tasks.'),
  media_instance_running_background_jobs: key(string(), 'The worker for periodic tasks on media.'),
  notify_appservices: key(boolean(), 'Whether the main process talks to application services; an older key.'),
  notify_appservices_from_worker: key(string(), 'The worker that talks to application services.'),
  update_user_directory: key(boolean(), 'Whether the main process keeps the user directory; an older key.'),
  update_user_directory_from_worker: key(string(), 'The worker that keeps the user directory.'),
  redis: key(redis, 'The messenger between processes.'),
  cpu_affinity: key(ignored('use the means of the operating system'), 'A relic.'),
  synctl_cache_factor: key(ignored('only synctl reads it; use caches.global_factor'), 'A relic.'),
  synctl_cache_factors: key(ignored('only synctl reads it; use caches.per_cache_factors'), 'A relic.'),
} as const;

export const workerRules: Rules = (config, report) => {
  if (config.worker_app !== undefined && config.worker_app !== 'synapse.app.homeserver') {
    report
      .at('worker_app')
      .refuse(
        `this is the main process, and the file describes a worker (${config.worker_app}); Myelin does everything in one process as yet`,
      );
  }
  notBoth(report, 'worker_replication_secret', config.worker_replication_secret, config.worker_replication_secret_path);
  notBoth(report, 'redis.password', config.redis.password, config.redis.password_path);
  const known = new Set(['master', 'main', ...Object.keys(config.instance_map)]);
  for (const [stream, writers] of Object.entries(config.stream_writers)) {
    const place = report.at(`stream_writers.${stream}`);
    if (writers.length === 0) place.refuse('must name at least one worker');
    for (const name of writers) if (!known.has(name)) place.refuse(`names ${name}, which is not in instance_map`);
  }
  for (const stream of ONE_WRITER) {
    if (config.stream_writers[stream].length > 1) report.at(`stream_writers.${stream}`).refuse('must name exactly one worker');
  }
  for (const [old, current] of [
    ['notify_appservices', 'notify_appservices_from_worker'],
    ['update_user_directory', 'update_user_directory_from_worker'],
  ] as const) {
    if (config[old] === undefined) continue;
    report.at(old).warn(`is deprecated; use ${current}`);
    if (config[old] && config[current] !== undefined) report.at(old).refuse(`contradicts ${current}; remove it`);
  }
  for (const [name, place] of Object.entries(config.instance_map)) {
    const addressed = place.path !== undefined || (place.host !== undefined && place.port !== undefined);
    if (!addressed) report.at(`instance_map.${name}`).refuse('needs host and port');
  }
};
