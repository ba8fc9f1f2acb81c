import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { loginPage } from '#src/accounts/login-page.ts';

interface Asked {
  readonly url: string;
  readonly body: unknown;
}

/** The page's script in a window with no more than it needs; answers come from `answerTo`. */
const openPage = async (href: string, answerTo: (asked: Asked) => { ok: boolean; body: unknown }) => {
  const { body, headers } = loginPage();
  const script = /<script>(.*)<\/script>/su.exec(body as string)?.[1] ?? '';
  assert.ok(headers['content-security-policy']?.includes(`script-src 'sha256-${hash('sha256', script, 'base64')}'`), 'the script may run');
  let submit: ((event: { preventDefault(): void }) => void) | undefined;
  const form = {
    hidden: true,
    elements: { user: { value: 'alice' }, password: { value: 'secret' } },
    addEventListener: (_: string, listener: typeof submit) => void (submit = listener),
  };
  const link = { hidden: true, href: '' };
  const status = { textContent: '' };
  const asked: Asked[] = [];
  const window: { matrixLogin?: { onLogin(response: unknown): void } } = {};
  const settle = async (): Promise<void> => {
    for (let turns = 0; turns < 10; turns += 1) await turn();
  };
  runInNewContext(script, {
    window,
    location: { href },
    document: { querySelector: (selector: string) => ({ form, a: link })[selector] ?? status },
    URL,
    fetch: async (url: string, options: { body?: string } = {}) => {
      const each = { url, body: options.body === undefined ? undefined : (JSON.parse(options.body) as unknown) };
      asked.push(each);
      const { ok, body: answer } = answerTo(each);
      return { ok, json: async () => answer };
    },
  });
  const loggedIn: unknown[] = [];
  return {
    form,
    link,
    status,
    asked,
    loggedIn,
    settle,
    /** As a client does that shows the page. */
    listen: () => void (window.matrixLogin = { onLogin: (response) => void loggedIn.push(response) }),
    logIn: async () => {
      submit?.({ preventDefault: () => undefined });
      await settle();
    },
  };
};

const PAGE = 'https://one.example/_matrix/static/client/login/?device_id=D&initial_device_display_name=My%20phone';
const flows = (...types: string[]) => ({ ok: true, body: { flows: types.map((type) => ({ type })) } });

test('the page logs in by password and tells the client', async () => {
  const session = { user_id: '@alice:one.example', access_token: 'x' };
  const page = await openPage(PAGE, ({ body }) => (body === undefined ? flows('m.login.password') : { ok: true, body: session }));
  page.listen();
  await page.settle();
  assert.deepEqual([page.form.hidden, page.link.hidden, page.status.textContent], [false, true, '']);
  await page.logIn();
  assert.deepEqual(page.asked.at(-1), {
    url: '/_matrix/client/v3/login',
    body: {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: 'alice' },
      password: 'secret',
      device_id: 'D',
      initial_device_display_name: 'My phone',
    },
  });
  assert.deepEqual(page.loggedIn, [session]);
});

test('the page says why somebody is not let in, and what to do when nobody listens', async () => {
  let isRight = false;
  const page = await openPage(PAGE, ({ body }) => {
    if (body === undefined) return flows('m.login.password');
    return isRight ? { ok: true, body: {} } : { ok: false, body: { error: 'Invalid username or password' } };
  });
  await page.settle();
  await page.logIn();
  assert.equal(page.status.textContent, 'Invalid username or password');
  isRight = true;
  await page.logIn();
  assert.match(page.status.textContent, /^You are logged in/u);
  assert.equal(page.form.hidden, true);
});

test('the page sends to single sign-on, and logs in by the token that comes back', async () => {
  const page = await openPage(`${PAGE}&loginToken=t`, ({ body }) => (body === undefined ? flows('m.login.sso') : { ok: true, body: {} }));
  page.listen();
  await page.settle();
  assert.deepEqual(page.asked.at(-1)?.body, { type: 'm.login.token', token: 't', device_id: 'D', initial_device_display_name: 'My phone' });
  const back = new URL(page.link.href, PAGE).searchParams.get('redirectUrl');
  assert.equal(back, PAGE.replace('%20', '+'), 'the token is not taken along');
  assert.deepEqual([page.form.hidden, page.link.hidden], [true, false]);
});
