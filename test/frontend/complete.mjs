// Sign-up and login that are Keyward's, by web-core's ProcessService and SessionService.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { eventTypes } from './backend.mjs';
import { device, story } from './browser.mjs';
import { codeFor } from './settings.mjs';

/** The token of a session that lives on, for who needs one that has expired. */
export const kept = { token: '' };

export const newAddress = () => `ada-${randomBytes(4).toString('hex')}@example.com`;

/** Calls a service of the page, and fails unless it does what is expected. */
export async function call({ page }, service, method, ...args) {
  const outcome = await page.evaluate(([s, m, a]) => window.page.call(s, m, a), [service, method, args]);
  assert.ok(outcome.ok, `${service}.${method}: ${JSON.stringify(outcome)}`);
  return outcome.value;
}

export async function refused({ page }, service, method, ...args) {
  const outcome = await page.evaluate(([s, m, a]) => window.page.call(s, m, a), [service, method, args]);
  assert.ok(!outcome.ok, `${service}.${method}: ${JSON.stringify(outcome)}`);
  return outcome;
}

export const process = (visitor, method, ...args) => call(visitor, 'process', method, ...args);
export const session = (visitor, method, ...args) => call(visitor, 'session', method, ...args);
export const is = (answer, block) => assert.equal(answer.blockBody.block, block, JSON.stringify(answer.blockBody));

/** Takes over the session of a process that is complete, as the SDK's components do. */
export async function enter(visitor, answer) {
  is(answer, 'completed');
  const { sessionToken, refreshToken } = answer.blockBody.data;
  await session(visitor, 'init');
  await session(visitor, 'setSession', sessionToken, refreshToken);
  await process(visitor, 'clearProcess');
  await process(visitor, 'dropLastIdentifier', answer.blockBody.data.passkeyOperation);
}

/** Signs up, up to what comes after the code that proves the address. */
export async function signUp(visitor, address, ...others) {
  is(await process(visitor, 'init', 'signup-init'), 'signup-init');
  is(await process(visitor, 'initSignup', [{ type: 'email', identifier: address }, ...others]), 'email-verify');
  return process(visitor, 'finishEmailCodeVerification', await codeFor(address));
}

/** Signs up with a passkey. */
export async function join(visitor, address) {
  is(await signUp(visitor, address), 'passkey-append');
  is(await process(visitor, 'appendPasskey'), 'passkey-appended');
  await enter(visitor, await process(visitor, 'finishAuthProcess'));
}

export function completeStories() {
  story('sign up, create a passkey, and have a session that is kept alive', async (t) => {
    const visitor = await device(t, 'complete');
    const { page } = visitor;
    const address = newAddress();
    is(await process(visitor, 'init', 'signup-init'), 'signup-init');
    await visitor.shot('sign-up');
    is(await process(visitor, 'initSignup', [{ type: 'email', identifier: address }, { type: 'username', identifier: address.split('@')[0] }]), 'email-verify');
    await visitor.shot('code');
    is(await process(visitor, 'finishEmailCodeVerification', await codeFor(address)), 'passkey-append');
    await visitor.shot('passkey-offered');
    is(await process(visitor, 'appendPasskey'), 'passkey-appended');
    assert.equal((await visitor.credentials()).length, 1);
    await visitor.shot('passkey-created');
    const done = await process(visitor, 'finishAuthProcess');
    assert.equal(done.blockBody.data.refreshToken, undefined, 'the refresh token is for cookies only');
    await enter(visitor, done);
    assert.ok(await page.evaluate(() => window.page.loggedIn()));
    const user = await session(visitor, 'getFullUser');
    assert.equal(user.identifiers.find((i) => i.type === 'email').value, address);
    assert.equal((await page.evaluate(() => window.page.user())).sub, user.id);
    await visitor.shot('user');
    const { passkeys } = await session(visitor, 'passkeyList');
    assert.equal(passkeys.length, 1);
    await visitor.shot('passkeys');

    // A token lives for a minute here, so the SDK renews it when it looks, as it does when the page is shown again. The refresh token is in a cookie that it cannot see.
    const tokens = [await page.evaluate(() => window.page.sessionToken())];
    for (const time of ['first', 'second']) {
      await page.waitForTimeout(1100); // the time in a token counts seconds
      await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
      await page.waitForFunction((before) => window.page.sessionToken() !== before, tokens.at(-1));
      tokens.push(await page.evaluate(() => window.page.sessionToken()));
      assert.ok(await page.evaluate(() => window.page.loggedIn()), `${time} refresh`);
    }
    assert.equal((await session(visitor, 'getFullUser')).id, user.id);
    await visitor.shot('refreshed');

    const again = await refused(visitor, 'session', 'appendPasskey');
    assert.equal(again.error, 'errors.passkeyAlreadyExists');
    await visitor.shot('append-refused');
    await session(visitor, 'passkeyDelete', passkeys[0].id);
    assert.equal((await session(visitor, 'passkeyList')).passkeys.length, 0);
    await visitor.shot('deleted');
    await visitor.plug();
    await session(visitor, 'appendPasskey');
    assert.equal((await session(visitor, 'passkeyList')).passkeys.length, 1);
    assert.equal((await visitor.credentials()).length, 1);
    await visitor.shot('appended-again');

    await session(visitor, 'logout');
    assert.ok(!await page.evaluate(() => window.page.loggedIn()));
    assert.match((await refused(visitor, 'session', 'getFullUser')).message, /login_error/);
    await visitor.shot('logged-out');
    const types = await eventTypes(user.id);
    assert.deepEqual(types.filter((type) => type === 'append-completed').length, 2, types.join());
  });

  story('log in by the passkey that the browser suggests, and by identifier', async (t) => {
    const visitor = await device(t, 'login');
    const { page } = visitor;
    const address = newAddress();
    await join(visitor, address);
    await session(visitor, 'logout');

    await visitor.open('/complete');
    const begun = await process(visitor, 'init', 'login-init');
    is(begun, 'login-init');
    const challenge = begun.blockBody.data.conditionalUIChallenge;
    assert.ok(challenge, 'the form has options for the browser');
    await visitor.shot('suggested');
    await page.evaluate((options) => window.page.suggest(options), challenge); // the user picks it at once
    const picked = await page.evaluate(() => window.page.picked());
    assert.ok(picked.ok, JSON.stringify(picked));
    await enter(visitor, picked.value);
    assert.equal((await session(visitor, 'getFullUser')).identifiers[0].value, address);
    await visitor.shot('picked');
    await session(visitor, 'logout');

    await visitor.open('/complete');
    is(await process(visitor, 'init', 'login-init'), 'login-init');
    is(await process(visitor, 'initLogin', address, false), 'passkey-verify');
    await visitor.shot('by-identifier');
    const done = await process(visitor, 'loginWithPasskey');
    await enter(visitor, done);
    assert.equal(done.blockBody.data.passkeyOperation.ceremonyType, 'local');
    assert.equal((await session(visitor, 'passkeyList')).passkeys.length, 1);
    await visitor.shot('logged-in');
    await page.reload();
    await session(visitor, 'init');
    kept.token = await page.evaluate(() => window.page.sessionToken());
    assert.ok(await page.evaluate(() => window.page.loggedIn()));
    await visitor.shot('reloaded');
  });
}
