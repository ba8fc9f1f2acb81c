import { hash } from 'node:crypto';
import { html, type Answer } from '#src/platform/http/route.ts';

/**
 * Logs somebody in whose client cannot: by password, by a token that the address brings back from single sign-on, or by going there. The client waits for
 * `window.matrixLogin.onLogin(response)` (client-server API, "Login fallback"); what it says of its device stands in the address.
 */
const SCRIPT = `
const flowsAt = '/_matrix/client/v3/login';
const form = document.querySelector('form');
const link = document.querySelector('a');
const address = new URL(location.href);
const say = (text) => { document.querySelector('[role=status]').textContent = text; };

window.matrixLogin = {
  onLogin: () => {
    form.hidden = true;
    link.hidden = true;
    say('You are logged in. You may close this page and go back to your client.');
  },
};

const ask = async (url, options) => {
  const answer = await fetch(url, options);
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  return body;
};

const logIn = async (request) => {
  const device = {};
  for (const name of ['device_id', 'initial_device_display_name'])
    if (address.searchParams.has(name)) device[name] = address.searchParams.get(name);
  const body = JSON.stringify({ ...request, ...device });
  window.matrixLogin.onLogin(await ask(flowsAt, { method: 'POST', headers: { 'content-type': 'application/json' }, body }));
};

const attempt = async (step) => {
  say('Please wait …');
  try {
    await step();
  } catch (error) {
    say(error.message);
  }
};

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const { user, password } = form.elements;
  const identifier = { type: 'm.id.user', user: user.value };
  attempt(() => logIn({ type: 'm.login.password', identifier, password: password.value }));
});

const offer = async () => {
  const { flows } = await ask(flowsAt);
  const types = flows.map((flow) => flow.type);
  form.hidden = !types.includes('m.login.password');
  link.hidden = !types.includes('m.login.sso');
  address.searchParams.delete('loginToken');
  link.href = flowsAt + '/sso/redirect?redirectUrl=' + encodeURIComponent(address.href);
  say(form.hidden && link.hidden ? 'Nobody can log in here at present.' : '');
};

const token = address.searchParams.get('loginToken');
attempt(async () => {
  await offer();
  if (token !== null) await logIn({ type: 'm.login.token', token });
});
`;

const PAGE = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in</title>
<style>
:root { color-scheme: light dark; }
body { font: 1.05rem/1.6 system-ui, sans-serif; max-width: 28rem; margin: 12vh auto 0; padding: 0 1.5rem; }
label { display: block; margin-bottom: 0.8rem; }
input { display: block; width: 100%; box-sizing: border-box; }
input, button { font: inherit; padding: 0.3em 0.6em; }
</style>
</head>
<body>
<main>
<h1>Log in</h1>
<form hidden>
<label>User name <input name="user" required autofocus autocapitalize="off" autocorrect="off" autocomplete="username"></label>
<label>Password <input name="password" type="password" required autocomplete="current-password"></label>
<button>Log in</button>
</form>
<p><a hidden>Log in with single sign-on</a></p>
<p role="status"></p>
</main>
<script>${SCRIPT}</script>
</body>
</html>
`;

const POLICY =
  `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${hash('sha256', SCRIPT, 'base64')}'; ` +
  "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/** The page by which somebody logs in whose client does not know how (client-server API, "Login fallback"). */
export const loginPage = (): Answer => html(PAGE, 200, { 'content-security-policy': POLICY });
