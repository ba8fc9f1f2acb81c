import { block } from '#src/platform/config/blocks.ts';
import { boolean, duration, key, path, string } from '#src/platform/config/kinds.ts';
import type { Rules } from '#src/platform/config/rules.ts';

export const accountValidityKeys = {
  account_validity: key(
    block({
      enabled: key(boolean(false), 'Whether accounts expire.'),
      period: key(duration(), 'After how long.'),
      renew_at: key(duration(), 'How long before that a mail with a link is sent; none by default.'),
      renew_email_subject: key(string('Renew your %(app)s account'), 'The subject of the mail.'),
      template_dir: key(path(), 'A folder with templates; deprecated in favour of `templates.custom_template_directory`.'),
      account_renewed_html_path: key(string('account_renewed.html'), 'The page after renewal.'),
      invalid_token_html_path: key(string('invalid_token.html'), 'The page for a wrong link.'),
    }),
    'Accounts that must be renewed.',
  ),
} as const;

export const accountValidityRules: Rules = (config, report) => {
  const { enabled, period } = config.account_validity;
  if (enabled && period === undefined)
    report.at('account_validity.enabled').refuse('needs account_validity.period: how long an account is valid');
};
