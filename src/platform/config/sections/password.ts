import { block } from '#src/platform/config/blocks.ts';
import { boolean, custom, duration, integer, key, string } from '#src/platform/config/kinds.ts';

export const passwordKeys = {
  password_config: key(
    block({
      enabled: key(
        custom<boolean | 'only_for_reauth', boolean>('true, false or only_for_reauth', true, (raw) =>
          typeof raw === 'boolean' || raw === 'only_for_reauth' ? raw : undefined,
        ),
        'Whether one can log in with a password; `only_for_reauth`: only confirm sensitive actions with it.',
        { acts: true },
      ),
      localdb_enabled: key(boolean(true), "Whether this server's own password hashes are asked, and not only modules.", { acts: true }),
      pepper: key(
        string(''),
        'A secret that is appended to each password before it is hashed. When it changes, no password works any more.',
        { acts: true },
      ),
      policy: key(
        block({
          enabled: key(boolean(false), 'Whether new passwords must follow the policy.'),
          minimum_length: key(integer(0), 'The least number of characters.'),
          require_digit: key(boolean(false), 'Whether there must be a digit.'),
          require_symbol: key(boolean(false), 'Whether there must be a character that is neither a letter nor a digit.'),
          require_lowercase: key(boolean(false), 'Whether there must be a lower-case letter.'),
          require_uppercase: key(boolean(false), 'Whether there must be an upper-case letter.'),
        }),
        'What a good password is.',
        { acts: true },
      ),
    }),
    'Passwords.',
  ),
  ui_auth: key(
    block({
      session_timeout: key(
        duration('0'),
        'How long after authenticating (or logging in) sensitive actions need no confirmation; 0 for always asking.',
      ),
    }),
    'Confirming sensitive actions: deleting devices.',
    { acts: true },
  ),
} as const;
