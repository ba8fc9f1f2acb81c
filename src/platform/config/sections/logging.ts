import { boolean, ignored, key, path, refused } from '#src/platform/config/kinds.ts';

export const loggingKeys = {
  log_config: key(
    path(),
    'The file that says what is logged where, in the format of Python’s `logging.config`. Without it everything from INFO goes to the console.',
    { acts: true },
  ),
  no_redirect_stdio: key(boolean(false), 'Whether what is printed stays out of the log. Myelin never redirects it.', { acts: true }),
  log_file: key(refused('was removed from Synapse; set log_config, and name the file in there'), 'Refused, as by Synapse.'),
  verbose: key(ignored('set the level in the file that log_config names'), 'A relic.'),
  full_twisted_stacktraces: key(ignored('stack traces are always complete'), 'A relic.'),
} as const;
