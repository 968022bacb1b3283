// What users did before decides what they are offered: a login that they cancelled, a passkey that they declined.
import assert from 'node:assert/strict';
import { eventTypes, userOf } from './backend.mjs';
import { device, story } from './browser.mjs';
import { enter, join, is, newAddress, process, refused, session, signUp } from './complete.mjs';
import { codeFor, keyward } from './settings.mjs';

/** Holds the last decision that the device heard of to a row of the table, asks why as a security team does, and resolves to what is said. */
export async function because(visitor, row, tag) {
  const told = await keyward('policy', 'explain', visitor.decision);
  assert.match(told, new RegExp(`answer .* row ${row}, tag ${tag}\n`));
  return told;
}

/** Logs in with the code that is sent to the address. */
export async function logInByCode(visitor, address) {
  await visitor.open('/complete');
  is(await process(visitor, 'init', 'login-init'), 'login-init');
  is(await process(visitor, 'initLogin', address, false), 'email-verify');
  return process(visitor, 'finishEmailCodeVerification', await codeFor(address));
}

async function cancels(t) {
  const visitor = await device(t, 'cancel');
  const address = newAddress();
  await join(visitor, address);
  await session(visitor, 'logout');
  await visitor.recognises(false);
  for (const time of ['first', 'second']) {
    await visitor.open('/complete');
    is(await process(visitor, 'init', 'login-init'), 'login-init');
    is(await process(visitor, 'initLogin', address, false), 'passkey-verify');
    const cancelled = await refused(visitor, 'process', 'loginWithPasskey');
    assert.equal(cancelled.error, 'errors.passkeyChallengeCancelled');
    await visitor.shot(`${time}-cancel`);
    await process(visitor, 'clearProcess');
  }
  const user = await userOf(address);
  assert.equal((await eventTypes(user)).filter((type) => type === 'login-error').length, 2);

  await visitor.open('/complete');
  is(await process(visitor, 'init', 'login-init'), 'login-init');
  is(await process(visitor, 'initLogin', address, false), 'email-verify');
  await visitor.shot('no-passkey-offered');
  await because(visitor, 'L7a', 'user-negative-env-history');

  // Whoever still picks the passkey is let in, and it is offered again.
  await visitor.recognises(true);
  await process(visitor, 'clearProcess');
  await visitor.open('/complete');
  const form = await process(visitor, 'init', 'login-init');
  await visitor.page.evaluate((options) => window.page.suggest(options), form.blockBody.data.conditionalUIChallenge);
  const picked = await visitor.page.evaluate(() => window.page.picked());
  assert.ok(picked.ok, JSON.stringify(picked));
  await enter(visitor, picked.value);
  await session(visitor, 'logout');
  await visitor.open('/complete');
  await process(visitor, 'init', 'login-init');
  is(await process(visitor, 'initLogin', address, false), 'passkey-verify');
  await visitor.shot('offered-again');
}

async function declines(t) {
  const visitor = await device(t, 'decline');
  const address = newAddress();
  let shown = await signUp(visitor, address);
  for (const time of ['first', 'second', 'third']) {
    is(shown, 'passkey-append');
    await visitor.shot(`${time}-offer`);
    await process(visitor, 'recordEventAppendExplicitAbort');
    await enter(visitor, await process(visitor, 'skipBlock'));
    await session(visitor, 'logout');
    shown = await logInByCode(visitor, address);
  }
  is(shown, 'completed');
  await visitor.shot('no-offer');
  assert.match(await because(visitor, 'A13', 'process-pk-login-not-offered'), /manual offers pause/);
  await enter(visitor, shown);
  // Whoever asks for a passkey gets one, and what was declined is forgotten.
  await session(visitor, 'appendPasskey');
  assert.equal((await session(visitor, 'passkeyList')).passkeys.length, 1);
  await visitor.shot('asked-for');
}

export function historyStories() {
  story('a login that was cancelled twice is offered no third time, and history says why', cancels);
  story('a passkey that was declined three times is not offered until a cool-down has passed', declines);
}
