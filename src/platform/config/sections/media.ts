import { block, list, mapOf, optional } from '#src/platform/config/blocks.ts';
import { ipRange } from '#src/platform/config/formats.ts';
import {
  anything,
  boolean,
  custom,
  duration,
  ignored,
  integer,
  key,
  oneOf,
  path,
  required,
  size,
  string,
} from '#src/platform/config/kinds.ts';
import type { Rules } from '#src/platform/config/rules.ts';

const provider = block({
  module: key(required(string()), 'The class of the provider; `file_system` for another folder.'),
  store_local: key(boolean(false), 'Whether it gets what local users upload.'),
  store_remote: key(boolean(false), 'Whether it gets what is fetched from other servers.'),
  store_synchronous: key(boolean(false), 'Whether uploads wait until it has stored them.'),
  config: key(mapOf(anything()), 'Settings of the provider; for `file_system` the `directory`.'),
});

const thumbnail = block({
  width: key(required(integer()), 'The width in pixels.'),
  height: key(required(integer()), 'The height in pixels.'),
  method: key(required(oneOf(['crop', 'scale'])), '`crop` fills the size, `scale` fits into it.'),
});

const THUMBNAILS = [
  { width: 32, height: 32, method: 'crop' },
  { width: 96, height: 96, method: 'crop' },
  { width: 320, height: 240, method: 'scale' },
  { width: 640, height: 480, method: 'scale' },
  { width: 800, height: 600, method: 'scale' },
] as const;

/** Parts of a URL with a pattern for each; all must match. */
const urlPattern = custom<Readonly<Record<string, string | null>>, undefined>(
  'a map from parts of a URL (scheme, netloc, path, …) to patterns',
  undefined,
  (raw) => {
    if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return undefined;
    const entries = Object.entries(raw).map(([part, pattern]): [string, unknown] => [
      part,
      typeof pattern === 'number' ? String(pattern) : pattern,
    ]);
    return entries.every((entry): entry is [string, string | null] => typeof entry[1] === 'string' || entry[1] === null)
      ? Object.fromEntries(entries)
      : undefined;
  },
);

export const mediaKeys = {
  enable_media_repo: key(boolean(true), 'Whether this process stores and serves media.'),
  max_upload_size: key(size('50M'), 'How large an upload may be, in bytes.'),
  max_image_pixels: key(size('32M'), 'Of how many pixels an image may consist to get thumbnails.'),
  max_spider_size: key(size('10M'), 'How much of a page is read for its preview, in bytes.'),
  media_store_path: key(path(), 'The folder for media; by default `media_store` in the working directory.'),
  backup_media_store_path: key(path(), 'A second folder, from before there were storage providers.'),
  synchronous_backup_media_store: key(boolean(false), 'Whether uploads wait for that folder.'),
  media_storage_providers: key(list(provider), 'Further places to store media.'),
  dynamic_thumbnails: key(boolean(false), 'Whether thumbnails are made in every size that is asked for.'),
  thumbnail_sizes: key(list(thumbnail, THUMBNAILS), 'The thumbnails that are made of each image.'),
  media_retention: key(
    block({
      local_media_lifetime: key(duration(), 'After how long without use local media are deleted; never by default.'),
      remote_media_lifetime: key(duration(), 'After how long without use copies of media of other servers are deleted; never by default.'),
    }),
    'Deleting media that nobody looks at.',
  ),
  url_preview_enabled: key(boolean(false), 'Whether links are previewed.'),
  url_preview_ip_range_blacklist: key(
    optional(list(ipRange())),
    'Addresses whose pages are not previewed; must be set when previews are on, so that nobody can look into your network.',
  ),
  url_preview_ip_range_whitelist: key(list(ipRange()), 'Exceptions from that.'),
  url_preview_url_blacklist: key(
    list(urlPattern),
    'Links that are not previewed; a pattern is a glob, or a regular expression if it starts with ^.',
  ),
  url_preview_accept_language: key(list(string(), ['en']), 'The languages that pages are asked for.'),
  oembed: key(
    block({
      disable_default_providers: key(boolean(false), 'Whether the well-known providers are left out.'),
      additional_providers: key(list(path()), 'Files with further providers, in the format of oembed.com.'),
    }),
    'Previews that sites describe themselves.',
  ),
  enable_authenticated_media: key(boolean(true), 'Whether new media can be fetched by users and servers only.'),
  enable_local_media_storage: key(boolean(true), 'Whether media are kept on the local disk.'),
  max_pending_media_uploads: key(integer(5), 'How many media ids one user may reserve.'),
  unused_expiration_time: key(duration('24h'), 'How long such a reservation is good.'),
  prevent_media_downloads_from: key(list(string()), 'Servers whose media are not fetched.'),
  media_upload_limits: key(
    list(
      block({
        time_period: key(required(duration()), 'The period.'),
        max_size: key(required(size()), 'How much a user may upload in it, in bytes.'),
      }),
    ),
    'How much users may upload.',
  ),
  uploads_path: key(ignored('see media_store_path'), 'A relic.'),
} as const;

export const mediaRules: Rules = (config, report) => {
  if (config.backup_media_store_path !== undefined && config.media_storage_providers.length > 0) {
    report
      .at('backup_media_store_path')
      .refuse('cannot be set together with media_storage_providers; describe the folder there, as a file_system provider');
  }
  if (
    config.url_preview_enabled &&
    config.url_preview_ip_range_blacklist === undefined &&
    config.http_proxy === undefined &&
    config.https_proxy === undefined
  ) {
    report
      .at('url_preview_enabled')
      .refuse('needs url_preview_ip_range_blacklist, so that nobody can look into your network through previews');
  }
  const servesMedia = config.listeners.some((listener) => listener.resources.some((resource) => resource.names.includes('media')));
  if (!config.enable_media_repo && servesMedia)
    report.at('enable_media_repo').refuse('is false, but a listener has the resource media; remove it there');
  for (const [index, item] of config.media_storage_providers.entries()) {
    if (!['file_system', 'synapse.rest.media.v1.storage_provider.FileStorageProviderBackend'].includes(item.module)) continue;
    if (typeof item.config['directory'] !== 'string')
      report.at(`media_storage_providers[${String(index)}].config`).refuse('needs directory: the folder to store in');
  }
};
