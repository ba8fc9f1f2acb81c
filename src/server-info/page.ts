const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** The page that an operator finds at the server's address: it works, and this is how to go on. */
export const welcomePage = (serverName: string): string => `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Myelin is running</title>
<style>
:root { color-scheme: light dark; }
body { font: 1.05rem/1.6 system-ui, sans-serif; max-width: 34rem; margin: 12vh auto 0; padding: 0 1.5rem; }
h1 { font-weight: 600; line-height: 1.2; }
code { font-size: 0.95em; padding: 0.1em 0.35em; border-radius: 0.3em; background: rgb(128 128 128 / 0.18); }
a { color: #0a7d64; }
@media (prefers-color-scheme: dark) { a { color: #4fd1b0; } }
</style>
</head>
<body>
<main>
<h1>It works.</h1>
<p>Myelin, a <a href="https://matrix.org">Matrix</a> homeserver, is running here as <code>${escapeHtml(serverName)}</code>.</p>
<p>To talk to people you need a client. Tell it to use the address of this page as its homeserver:</p>
<ul>
<li><a href="https://element.io/download">Element</a>, for browsers, desktops and phones</li>
<li><a href="https://cinny.in">Cinny</a>, for browsers and desktops</li>
<li><a href="https://fluffychat.im">FluffyChat</a>, for phones and browsers</li>
<li><a href="https://nheko-reborn.github.io">Nheko</a>, for desktops</li>
<li><a href="https://matrix.org/ecosystem/clients/">all others</a></li>
</ul>
</main>
</body>
</html>
`;
