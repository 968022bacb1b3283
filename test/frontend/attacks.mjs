// What must not work, and what users of unusual browsers get instead of an error.
import assert from 'node:assert/strict';
import { backend, connectToken, events, userOf } from './backend.mjs';
import { device, picture, shots, story } from './browser.mjs';
import { call, enter, is, join, kept, newAddress, process, refused, session, signUp } from './complete.mjs';
import { because } from './history.mjs';
import { clientInformation, frontend } from './http.mjs';
import { codeFor, frontendAPI, keyward, pageOrigin, project } from './settings.mjs';
import { otherProject } from './prepare.mjs';

const meets = (answer, status, type, context) => assert.deepEqual([answer.status, answer.said?.error?.type], [status, type], `${context}: ${answer.text}`);

/** The cookies of the Frontend API that a device has. */
const cookiesOf = async ({ context }) => Object.fromEntries((await context.cookies(frontendAPI() + '/v2/me')).map((c) => [c.name, c.value]));

/** A session of somebody new, with its cookies. */
async function loggedIn(t, name, options) {
  const visitor = await device(t, name, options);
  const address = newAddress();
  await join(visitor, address);
  const cookies = await cookiesOf(visitor);
  return { visitor, address, cookies, token: cookies.cbo_session_token, user: (await session(visitor, 'getFullUser')).id };
}

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const claimsOf = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));

async function tokens(t) {
  const { token, cookies, user, address } = await loggedIn(t, 'tokens');
  const [header, claims, signature] = token.split('.');
  const flipped = signature.slice(0, 10) + (signature[10] === 'A' ? 'B' : 'A') + signature.slice(11);
  const connect = await connectToken('passkey-list', address);
  const forgeries = {
    'no token': [undefined, {}],
    'a signature that was changed': [`${header}.${claims}.${flipped}`, {}],
    'claims that were changed': [`${header}.${base64url({ ...claimsOf(token), sub: 'usr-1' })}.${signature}`, {}],
    'a token without a signature': [`${base64url({ alg: 'none', typ: 'JWT' })}.${claims}.`, {}],
    'a token of another project': [token, { as: otherProject.id }],
    'a refresh token with another generation': [cookies.cbo_refresh_token.replace(/_0_/, '_7_'), {}],
    'a refresh token of another project': [cookies.cbo_refresh_token, { as: otherProject.id }],
    'a connect token': [connect, {}],
    'the ID of a user': [user, {}],
  };
  for (const [name, [forged, options]] of Object.entries(forgeries)) meets(await frontend('GET', '/me', { token: forged, ...options }), 401, 'login_error', name);
  assert.equal((await frontend('GET', '/me', { token })).status, 200, 'the token itself');
}

async function expired(t) {
  const left = claimsOf(kept.token).exp * 1000 - Date.now();
  t.diagnostic(`waits ${Math.max(0, Math.ceil(left / 1000))} s for a token to expire`);
  if (left > 0) await new Promise((resolve) => setTimeout(resolve, left + 500));
  const answer = await frontend('GET', '/me', { token: kept.token });
  meets(answer, 401, 'login_error', 'an expired token');
  assert.match(answer.said.error.details, /expired/);
}

async function reuse(t) {
  const { visitor, cookies, token } = await loggedIn(t, 'reuse');
  const first = cookies.cbo_refresh_token;
  const began = Date.now();
  let used; // when the first one has certainly been spent
  let stolen = first;
  for (const time of ['first', 'second']) {
    const renewed = await frontend('POST', '/me/refresh', { cookies: { cbo_refresh_token: stolen } });
    assert.equal(renewed.status, 200, `${time} refresh: ${renewed.text}`);
    used ??= Date.now();
    stolen = renewed.set.cbo_refresh_token;
    assert.ok(stolen && !renewed.text.includes(stolen), 'the next one is in a cookie only');
  }
  // Two tabs may send the same one; ten seconds after it was first used nobody may.
  const again = () => frontend('POST', '/me/refresh', { cookies: { cbo_refresh_token: first } });
  const soon = await again();
  assert.equal(soon.status, Date.now() < began + 9_000 ? 200 : soon.status, `the first refresh token at once: ${soon.text}`);
  await new Promise((resolve) => setTimeout(resolve, used + 11_000 - Date.now()));
  meets(await again(), 401, 'login_error', 'the first refresh token again');
  meets(await frontend('POST', '/me/refresh', { cookies: { cbo_refresh_token: stolen } }), 401, 'login_error', 'the newest one, since the session has ended');
  meets(await frontend('GET', '/me', { token }), 401, 'login_error', 'a token of that session that has not expired');
  // The page hears of it when it looks next, and logs the user out.
  await visitor.page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await visitor.page.waitForFunction(() => !window.page.loggedIn());
  await visitor.shot('logged-out');
}

// Runs in a page that wants to act as the user of another.
const forge = async (target) => {
  const tell = async (options) => {
    try {
      const answer = await fetch(target + '/v2/me/logout', { method: 'POST', credentials: 'include', ...options });
      return `${answer.type} ${answer.status}`;
    } catch (error) {
      return error.message;
    }
  };
  return { read: await tell({}), json: await tell({ headers: { 'content-type': 'application/json' }, body: '{}' }), blind: await tell({ mode: 'no-cors', body: '{}' }) };
};

async function forgery(t) {
  const { visitor, user } = await loggedIn(t, 'forgery');
  const places = { 'another site': 'https://evil.example', 'another page of the same site': 'https://blog.shop.example' };
  for (const [name, origin] of Object.entries(places)) {
    const evil = await visitor.context.newPage();
    const sent = [];
    evil.on('response', async (answer) => { if (answer.url().endsWith('/v2/me/logout')) sent.push(answer.status()); });
    await evil.goto(`${origin}:${new URL(pageOrigin).port}/`);
    const got = await evil.evaluate(forge, frontendAPI());
    assert.deepEqual(got, { read: 'Failed to fetch', json: 'Failed to fetch', blind: 'opaque 0' }, name);
    // A form needs no permission to be sent.
    const [answer] = await Promise.all([
      evil.waitForResponse((r) => r.url().endsWith('/v2/me/logout') && r.request().resourceType() === 'document'),
      evil.evaluate((target) => {
        document.body.innerHTML = `<form method="post" action="${target}/v2/me/logout" enctype="text/plain"><input name="a" value="b"></form>`;
        document.forms[0].submit();
      }, frontendAPI()),
    ]);
    assert.equal(answer.status(), 403, name);
    await picture(evil, { path: `${shots}forgery-${name.replaceAll(' ', '-')}.png` });
    assert.ok(sent.every((status) => status >= 400), `${name}: ${sent}`);
    await evil.close();
  }
  assert.equal((await session(visitor, 'getFullUser')).id, user, 'the user is still logged in');
  meets(await frontend('POST', '/me/logout', { cookies: await cookiesOf(visitor), origin: 'https://blog.shop.example' }), 403, 'invalid_origin', 'cookies with another origin');
  meets(await frontend('POST', '/me/logout', { cookies: await cookiesOf(visitor), origin: '' }), 403, 'invalid_origin', 'cookies with no origin');
  meets(await frontend('GET', '/session-config', { origin: 'https://evil.example' }), 403, 'invalid_origin', 'an origin that the project does not list');
}

const begin = async (body = {}) => (await frontend('POST', '/auth/process/init', { body: { clientInformation, ...body } })).said.token;

async function processes(t) {
  const { visitor, address, user } = await loggedIn(t, 'processes');
  await session(visitor, 'logout');
  const mine = await begin();
  const strange = {
    'none': [undefined, 400, 'validation_error', {}],
    'one that never was': ['AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 400, 'process_not_available', {}],
    'one of another project': [mine, 400, 'process_not_available', { as: otherProject.id }],
  };
  for (const [name, [token, , type, options]] of Object.entries(strange)) {
    const answer = await frontend('GET', '/auth/process', { process: token, ...options });
    assert.equal(answer.said.error.type, type, `${name}: ${answer.text}`);
  }
  // An ID that logs and events show is not the token that the client has.
  const [shown] = (await events(user)).map((e) => e.processID).filter(Boolean);
  const guessed = await frontend('GET', '/auth/process', { process: shown });
  assert.equal(guessed.said.error.type, 'process_not_available', guessed.text);

  // What an authenticator said in one process is worth nothing in another, and nothing a second time.
  await visitor.open('/complete');
  await process(visitor, 'init', 'login-init');
  const asked = await process(visitor, 'initLogin', address, false);
  const started = await process(visitor, 'startPasskeyLogin');
  const signed = await visitor.page.evaluate(async (options) => {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(options).publicKey);
    return JSON.stringify((await navigator.credentials.get({ publicKey })).toJSON());
  }, started.blockBody.data.challenge ?? asked.blockBody.data.challenge);
  const own = await visitor.page.evaluate((key) => JSON.parse(localStorage.getItem(key)).id, `cbo_auth_process-${project}`);
  const theirs = await begin();
  await frontend('POST', '/auth/login/init', { process: theirs, body: { identifierValue: address, isPhone: false } });
  const elsewhere = await frontend('POST', '/auth/passkey/login/finish', { process: theirs, body: { signedChallenge: signed } });
  meets(elsewhere, 400, 'validation_error', 'an answer in another process');
  const here = await frontend('POST', '/auth/passkey/login/finish', { process: own, body: { signedChallenge: signed } });
  assert.equal(here.said.blockBody?.block, 'completed', here.text);
  const again = await frontend('POST', '/auth/passkey/login/finish', { process: own, body: { signedChallenge: signed } });
  assert.ok(again.status >= 400 && again.status < 500, again.text);
  t.diagnostic(`a replay is answered ${again.status} ${again.said.error.type}`);
}

async function deleted(t) {
  const { visitor, address, user, token } = await loggedIn(t, 'deleted');
  await visitor.open('/complete');
  await process(visitor, 'init', 'login-init');
  is(await process(visitor, 'initLogin', address, false), 'passkey-verify');
  await backend('DELETE', `/v2/users/${user}`);
  const gone = await refused(visitor, 'process', 'loginWithPasskey');
  assert.equal(gone.error, 'processNotFound', 'the SDK begins anew at that');
  await visitor.shot('gone');
  meets(await frontend('GET', '/me', { token }), 401, 'login_error', 'the session of a user who was deleted');
  await process(visitor, 'clearProcess');
  await visitor.open('/complete');
  const form = await process(visitor, 'init', 'login-init');
  await visitor.page.evaluate((options) => window.page.suggest(options), form.blockBody.data.conditionalUIChallenge);
  const picked = await visitor.page.evaluate(() => window.page.picked());
  assert.ok(picked.ok, JSON.stringify(picked));
  is(picked.value, 'login-init');
  assert.ok(picked.value.blockBody.error || picked.value.blockBody.data.error, 'the form says that the passkey is gone');
  await visitor.shot('passkey-of-nobody');
}

function fiveMinutes(ahead) {
  return `{ const Real = Date, shift = ${ahead * 300_000}; Date = class extends Real { constructor(...a) { a.length ? super(...a) : super(Real.now() + shift); } static now() { return Real.now() + shift; } }; }`;
}

const clocks = (ahead) => async (t) => {
  const { visitor, address } = await loggedIn(t, ahead > 0 ? 'clock-fast' : 'clock-slow', { before: fiveMinutes(ahead) });
  const { page } = visitor;
  if (ahead > 0) {
    // Every token looks too old, so that the SDK renews it each time that it looks.
    const before = await page.evaluate(() => window.page.sessionToken());
    await page.waitForTimeout(1100);
    await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
    await page.waitForFunction((token) => window.page.sessionToken() !== token, before);
  }
  assert.ok(await page.evaluate(() => window.page.loggedIn()));
  assert.equal((await session(visitor, 'passkeyList')).passkeys.length, 1);
  await session(visitor, 'logout');
  await visitor.open('/complete');
  await process(visitor, 'init', 'login-init');
  is(await process(visitor, 'initLogin', address, false), 'passkey-verify');
  await enter(visitor, await process(visitor, 'loginWithPasskey'));
  await visitor.shot('logged-in');
};

async function privately(t) {
  const visitor = await device(t, 'private', { privately: true });
  const address = newAddress();
  const done = await signUp(visitor, address);
  await because(visitor, 'A5', 'default-deny');
  await enter(visitor, done);
  await visitor.shot('no-passkey-offered');
  // Whoever asks for one in the account gets it all the same.
  await session(visitor, 'appendPasskey');
  assert.equal((await visitor.credentials()).length, 1);
}

// web-core looks the name up, so it has to be there; an older browser has nothing behind it.
async function without(t) {
  const visitor = await device(t, 'without', { before: () => { window.PublicKeyCredential = undefined; } });
  const address = newAddress();
  await enter(visitor, await signUp(visitor, address));
  await because(visitor, 'A1', 'env-no-pk-support');
  assert.equal((await refused(visitor, 'session', 'appendPasskey')).error, 'errors.passkeysNotSupported');
  await session(visitor, 'logout');
  await visitor.open('/complete');
  const form = await process(visitor, 'init', 'login-init');
  assert.equal(form.blockBody.data.conditionalUIChallenge, undefined);
  is(await process(visitor, 'initLogin', address, false), 'email-verify');
  await visitor.shot('code-instead');
  await enter(visitor, await process(visitor, 'finishEmailCodeVerification', await codeFor(address)));
  await visitor.shot('logged-in');
}

const rounds = 25;
const median = (all) => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)];

/** Somebody with a verified address, and with a passkey or without one. */
async function somebody(visitor, passkey) {
  const address = newAddress();
  if (!passkey) {
    const { userID } = await backend('POST', '/v2/users', { status: 'active' });
    await backend('POST', `/v2/users/${userID}/identifiers`, { identifierType: 'email', identifierValue: address, status: 'verified' });
    return address;
  }
  await call(visitor, 'connect', 'appendInit');
  const start = await call(visitor, 'connect', 'startAppend', await connectToken('passkey-append', address), Date.now());
  await call(visitor, 'connect', 'completeAppend', start.attestationOptions, 'manual');
  await backend('POST', `/v2/users/${await userOf(address)}/passkeyEvents`, { eventType: 'user-login-blacklisted' });
  return address;
}

async function enumeration(t) {
  const visitor = await device(t, 'enumeration');
  const people = { 'somebody unknown': newAddress(), 'a user without passkeys': await somebody(visitor, false), 'a user whose login is denied': await somebody(visitor, true) };
  const asks = {
    Connect: async (address) => {
      const init = await frontend('POST', '/connect/login/init', { body: { clientInformation, flags: {} } });
      const began = performance.now();
      const answer = await frontend('POST', '/connect/login/start', { process: init.said.token, body: { identifier: address, source: 'text-field', loadedMs: 1 } });
      return { answer, took: performance.now() - began };
    },
    Complete: async (address) => {
      const token = await begin();
      const began = performance.now();
      const answer = await frontend('POST', '/auth/login/init', { process: token, body: { identifierValue: address, isPhone: false } });
      return { answer, took: performance.now() - began };
    },
  };
  for (const [way, ask] of Object.entries(asks)) {
    const times = Object.fromEntries(Object.keys(people).map((name) => [name, []]));
    for (let round = 0; round < rounds; round++) {
      const bodies = new Set();
      for (const [name, address] of Object.entries(people)) {
        const { answer, took } = await ask(address);
        assert.equal(answer.status, 200, `${way}, ${name}: ${answer.text}`);
        bodies.add(answer.text.replaceAll(address, 'WHO').replace(/"retryNotBefore":\d+/, '"retryNotBefore":0'));
        times[name].push(took);
      }
      assert.equal(bodies.size, 1, `${way}: ${[...bodies].join('\n')}`);
    }
    t.diagnostic(`${way}, median of ${rounds}: ` + Object.entries(times).map(([name, all]) => `${name} ${median(all).toFixed(2)} ms`).join(', '));
  }
}

async function killSwitch(t) {
  const init = await frontend('POST', '/connect/login/init', { as: otherProject.id, body: { clientInformation, flags: {} } });
  assert.equal(init.status, 200, init.text);
  assert.equal(init.said.loginAllowed, false);
  assert.equal(init.said.conditionalUIChallenge, undefined);
  const start = await frontend('POST', '/connect/login/start', { as: otherProject.id, process: init.said.token, body: { identifier: newAddress(), source: 'text-field', loadedMs: 1 } });
  assert.equal(start.said.assertionOptions, '');
  assert.equal(start.said.fallbackOperationError.initFallback, true);
  assert.match(await keyward('policy', 'explain', init.decision), /kill/i);
  const visitor = await device(t, 'kill-switch', { path: `/connect?project=${otherProject.id}` });
  await visitor.page.getByRole('heading', { name: 'Log in with your password' }).waitFor();
  await visitor.shot('fallback');
}

const published = async () => (await (await fetch(`${frontendAPI().replace(/\/\/[^:]+/, '//127.0.0.1')}/.well-known/jwks`, { headers: { 'x-corbado-projectid': project } })).json()).keys.map((key) => key.kid);

async function keys(t) {
  const { visitor, token, user } = await loggedIn(t, 'keys');
  const kid = (of) => JSON.parse(Buffer.from(of.split('.')[0], 'base64url')).kid;
  await keyward('project', 'signing-keys', 'rotate', project, '--now');
  const after = await published();
  assert.ok(after.includes(kid(token)) && after.length >= 2, 'the key before is published still');
  assert.equal((await frontend('GET', '/me', { token })).status, 200, 'what it signed is good still');
  const renewed = await frontend('POST', '/me/refresh', { cookies: await cookiesOf(visitor) });
  assert.notEqual(kid(renewed.said.sessionToken), kid(token), 'the new key signs at once');
  assert.ok(after.includes(kid(renewed.said.sessionToken)), 'and is published');
  await keyward('project', 'signing-keys', 'remove', project, kid(token));
  assert.ok(!(await published()).includes(kid(token)));
  meets(await frontend('GET', '/me', { token }), 401, 'login_error', 'a token of a key that was removed');

  const now = renewed.said.sessionToken;
  assert.equal((await frontend('GET', '/me', { token: now })).said.id, user);
  await backend('POST', `/v2/sessions/${claimsOf(now).sid}/revoke`);
  meets(await frontend('GET', '/me', { token: now }), 401, 'login_error', 'a session that was revoked');
}

export function attackStories() {
  story('a token that is not what it seems is refused', tokens);
  story('a refresh token that is used again ends the session', reuse);
  story('pages of others cannot act as the user', forgery);
  story('a process is of whoever began it, and an answer of an authenticator of one process', processes);
  story('a user who is deleted in the middle of a login', deleted);
  story('a kill switch turns passkeys off and says so', killSwitch);
}

// web-core 3.5.0 renews a token before it knows where Keyward is. docs/frontend.md says what follows; when this story fails because the SDK does better, it can say less.
async function late(t) {
  const { visitor, address } = await loggedIn(t, 'late');
  const { page, context } = visitor;
  await context.addInitScript(fiveMinutes(1)); // later than the token lives
  await page.evaluate(() => localStorage.setItem('cbo_refresh_token', 'a refresh token in the body'));
  const strays = [];
  page.on('requestfailed', (request) => strays.push(request));
  await visitor.open('/complete');
  await session(visitor, 'init');
  assert.ok(!await page.evaluate(() => window.page.loggedIn()));
  const [stray] = strays.filter((request) => request.url().endsWith('/v2/me/refresh'));
  assert.ok(!new URL(stray.url()).hostname.endsWith('shop.example'), stray.url());
  assert.equal(stray.headers().authorization, 'Bearer a refresh token in the body');
  await visitor.shot('logged-out');
  await process(visitor, 'init', 'login-init');
  is(await process(visitor, 'initLogin', address, false), 'passkey-verify');
  is(await process(visitor, 'loginWithPasskey'), 'completed');
}

export function unusualStories() {
  story('a page that is opened after its token has expired takes the user for logged out', late);
  story('a clock that is five minutes fast', clocks(1));
  story('a clock that is five minutes slow', clocks(-1));
  story('a private window is offered no passkey, and no error', privately);
  story('a browser without passkeys signs up and logs in by code', without);
}

/** What is told when all other stories are over: one is about time, one needs it to have passed, and one ends sessions that others have. */
export function lastStories() {
  story('who has an account cannot be told from answers', enumeration);
  story('a token that has expired is refused', expired, 90_000);
  story('another signing key, a removed one and a revoked session are seen at once', keys);
}
