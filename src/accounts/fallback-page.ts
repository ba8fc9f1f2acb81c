import { html, type Answer } from '#src/platform/http/route.ts';

const PAGE = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Registration token</title>
<style>
:root { color-scheme: light dark; }
body { font: 1.05rem/1.6 system-ui, sans-serif; max-width: 28rem; margin: 12vh auto 0; padding: 0 1.5rem; }
input, button { font: inherit; padding: 0.3em 0.6em; }
</style>
</head>
<body>
<main>
<form>
<label>The token that you were given to register here:<br><input name="token" required autofocus autocomplete="off"></label>
<button>Continue</button>
</form>
<p role="status"></p>
</main>
<script>
const form = document.querySelector('form');
const say = (text) => { document.querySelector('p').textContent = text; };
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  try {
    const body = JSON.stringify({ token: form.elements.token.value });
    const answer = await fetch(location.href, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    if (!answer.ok) return say((await answer.json()).error);
    form.remove();
    say('Thank you. You may close this page and go back to your client.');
    if (window.onAuthDone) window.onAuthDone();
    else if (window.opener && window.opener.postMessage) window.opener.postMessage('authDone', '*');
  } catch {
    say('The server could not be reached. Please try again.');
  }
});
</script>
</body>
</html>
`;

/** The page on which somebody whose client does not know the stage gives a registration token (client-server API, "Fallback"). */
export const tokenPage = (): Answer =>
  html(PAGE, 200, {
    'content-security-policy':
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; form-action 'none'; frame-ancestors 'self'",
  });
