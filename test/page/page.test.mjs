// The story of the page, told in a real browser against the binary that users run.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { base, codeFor, decision, event, focusOn, follow, heading, inspect, launch, leave, says, standBetween, tabTo, visit } from './browser.mjs';

const who = 'Email address or user name';
const newAddress = () => `ada-${randomBytes(4).toString('hex')}@example.com`;
let browser;

before(async () => { browser = await launch(); });
after(async () => { await browser?.close(); });

/** Proves the address with the code that was sent to it. */
async function prove({ page }, address) {
  await heading(page, 'Enter the code');
  await page.getByLabel('Code').fill(await codeFor(address));
  await page.getByRole('button', { name: 'Verify' }).click();
}

/** Signs up, up to the offer of a passkey. */
async function signUp({ page }, address) {
  await heading(page, 'Sign in');
  await page.getByRole('button', { name: 'Create an account' }).click();
  await heading(page, 'Create an account');
  await page.getByLabel('Email address').fill(address);
  await page.getByRole('button', { name: 'Create account' }).click();
  await prove({ page }, address);
  await heading(page, 'Create a passkey');
}

/** Signs up and creates a passkey. */
async function join(visitor, address) {
  const { page } = visitor;
  await signUp(visitor, address);
  await visitor.touches(true);
  await page.getByRole('button', { name: 'Create passkey' }).click();
  await heading(page, 'Your passkey is ready');
  await visitor.touches(false);
  await page.getByRole('button', { name: 'Continue' }).click();
  await heading(page, `Signed in as ${address}`);
}

/** The call that deletes a passkey of the user's own. */
const deletion = /^DELETE .*\/me\/passkeys\/[^/]+$/;

async function signOut({ page }) {
  await page.getByRole('button', { name: 'Sign out' }).click();
  await heading(page, 'Sign in');
}

async function signIn({ page }, address) {
  await page.getByLabel(who).fill(address);
  await page.getByRole('button', { name: 'Continue' }).click();
}

/** Counts how often the page has asked the browser to create a passkey. */
const countCreations = () => {
  window.creations = 0;
  const create = navigator.credentials.create.bind(navigator.credentials);
  navigator.credentials.create = (options) => { window.creations++; return create(options); };
};

test('sign up, create a passkey, sign out and sign in with it, and see why', async () => {
  const visitor = await visit(browser, { before: countCreations });
  const { page } = visitor;
  const address = newAddress();
  await heading(page, 'Sign in');
  await inspect(visitor, 'sign-in');
  await page.getByRole('button', { name: 'Create an account' }).click();
  await heading(page, 'Create an account');
  await inspect(visitor, 'sign-up');
  await page.getByLabel('Email address').fill(address);
  await page.getByRole('button', { name: 'Create account' }).click();
  await prove(visitor, address);
  await heading(page, 'Create a passkey');
  const why = await decision(page, 'Offer to create a passkey?', 'Yes');
  assert.match(why, /A13\s+process-pk-login-not-offered/);
  assert.match(why, /No passkey login was offered/);
  assert.match(why, /policy [0-9a-f]{12} · dec-\d+/);
  const story = await page.locator('.story').innerText();
  assert.match(story, /Manual offers do not pause\./);
  assert.doesNotMatch(story, /[a-z]_[a-z]|\w\.\w| holds/, 'the story has names of rules or facts');
  assert.equal(await page.locator('.ladder').isVisible(), false, 'the table is open before anybody asks for it');
  for (const part of await page.locator('.decision summary').all()) await part.click();
  assert.match(await page.locator('.client').innerText(), /Linux[^\n]*\([\s\S]*Chrome/);
  const passed = await page.locator('.ladder').innerText();
  assert.match(passed, /A5\s+A private window forgets passkeys\s+No: The window is not known to be private\./);
  assert.doesNotMatch(passed, /No passkey login was offered$/m, 'the row that answered is among those that did not match');
  assert.match(await page.locator('.facts').innerText(), /client\.privateMode/);
  await inspect(visitor, 'create');

  const benefit = await page.locator('main .lead').first().innerText();
  assert.match(benefit, /fingerprint, face or screen lock signs you in\. There is nothing to remember and nothing to type/, 'the offer does not say what it is good for');
  assert.equal(await page.evaluate(() => window.creations), 0, 'a dialog opened before anybody went on');
  await visitor.touches(true);
  await page.getByRole('button', { name: 'Create passkey' }).click();
  await heading(page, 'Your passkey is ready');
  await visitor.touches(false);
  await inspect(visitor, 'created');
  await page.getByRole('button', { name: 'Continue' }).click();
  await heading(page, `Signed in as ${address}`);
  assert.equal((await visitor.credentials()).length, 1);
  assert.equal(await page.evaluate(() => window.creations), 1, 'one press, one dialog');
  await event(page, 'append-completed');
  await page.locator('.passkeys li').waitFor();
  await inspect(visitor, 'account');

  await signOut(visitor);
  await says(page, 'status', 'You are signed out');
  await visitor.touches(true);
  await signIn(visitor, address);
  await heading(page, `Signed in as ${address}`);
  await decision(page, 'Offer a passkey login?', 'Yes', 'Login: yes');
  const order = await page.locator('.decision').evaluate((d) => d.querySelector('.reach').compareDocumentPosition(d.querySelector('.ladder')) & Node.DOCUMENT_POSITION_FOLLOWING);
  assert.ok(order, 'the passkeys come after the table');
  assert.match(await page.locator('.reach li').innerText(), /A passkey of an unknown provider\s+(expected|may be) here\s+\S+/);
  assert.match(await page.locator('.decision .causes').first().innerText(), /worked, on this device/);
  await event(page, 'login-completed');

  await page.reload();
  await heading(page, `Signed in as ${address}`);
  await page.getByRole('button', { name: 'Renew it now' }).click();
  await says(page, 'status', 'new token');
  await leave(visitor);
});

test('a user name alone is told before the sign-up and before the passkey is skipped that nothing else leads back', async () => {
  const visitor = await visit(browser);
  const { page } = visitor;
  const name = newAddress().split('@')[0];
  await heading(page, 'Sign in');
  await page.getByRole('button', { name: 'Create an account' }).click();
  await heading(page, 'Create an account');
  await page.getByLabel('Email address').fill('ada');
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.getByText('Email address must be an email address such as ada@example.com.').waitFor();
  await page.getByLabel('Email address').fill('');
  await page.getByText('with it alone, only a passkey brings you back in').waitFor();
  await page.getByLabel('User name').fill(name);
  await page.getByRole('button', { name: 'Create account' }).click();
  await heading(page, 'Create a passkey');
  await page.getByRole('button', { name: 'Not now' }).click();
  await says(page, 'alert', `Without a passkey you cannot sign in as ${name} again`);
  await inspect(visitor, 'only-way-back');
  await page.getByRole('button', { name: 'Go on without' }).click();
  await heading(page, `Signed in as ${name}`);
  await leave(visitor);
});

test('the pages of the documents are dark in the dark, fit a phone, and lead back', async () => {
  const visitor = await visit(browser);
  const { page } = visitor;
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.setViewportSize({ width: 360, height: 740 });
  await follow(page, page.getByRole('link', { name: 'API' }));
  for (const name of ['Backend API', 'Frontend API']) {
    if (name !== 'Backend API') await follow(page, page.getByRole('navigation').getByRole('link', { name }));
    await page.locator('nav [aria-current]', { hasText: name }).waitFor();
    await page.locator('.opblock').first().click();
    await page.locator('.opblock .microlight').first().waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360, `${name} is wider than the window`);
    assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(14, 22, 27)', `${name} is not dark`);
  }
  await follow(page, page.getByRole('link', { name: 'Try passkeys' }));
  await heading(page, 'Sign in');
  await leave(visitor);
});

test('all of it by keyboard alone', async () => {
  const visitor = await visit(browser);
  const { page } = visitor;
  const address = newAddress();
  await heading(page, 'Sign in');
  await tabTo(page, 'Create an account');
  await page.keyboard.press('Enter');
  await heading(page, 'Create an account');
  await focusOn(page, 'Create an account');
  await tabTo(page, 'Email address');
  await page.keyboard.type(address);
  await page.keyboard.press('Enter');
  await heading(page, 'Enter the code');
  await tabTo(page, 'Code');
  await page.keyboard.type(await codeFor(address));
  await page.keyboard.press('Enter');
  await heading(page, 'Create a passkey');
  await visitor.touches(true);
  await tabTo(page, 'Create passkey');
  await page.keyboard.press('Space');
  await heading(page, 'Your passkey is ready');
  await visitor.touches(false);
  await tabTo(page, 'Continue');
  await page.keyboard.press('Enter');
  await heading(page, `Signed in as ${address}`);
  await focusOn(page, `Signed in as ${address}`);
  await tabTo(page, 'Sign out');
  await page.keyboard.press('Enter');
  await heading(page, 'Sign in');
  await visitor.touches(true);
  await tabTo(page, who);
  await page.keyboard.type(address);
  await page.keyboard.press('Enter');
  await heading(page, `Signed in as ${address}`);
  await leave(visitor);
});

test('a passkey that the browser suggests signs in without a name', async () => {
  const visitor = await visit(browser);
  const address = newAddress();
  await join(visitor, address);
  await signOut(visitor);
  await visitor.touches(true);
  await visitor.page.reload();
  await heading(visitor.page, `Signed in as ${address}`);
  await decision(visitor.page, 'Suggest passkeys in the field?', 'Yes', 'Suggest: yes');
  await event(visitor.page, 'login-completed');
  await leave(visitor);
});

test('a passkey login that is cancelled: calmly once, to a code the second time, and then an offer to add a passkey', async () => {
  const visitor = await visit(browser);
  const { page } = visitor;
  const address = newAddress();
  await join(visitor, address);
  await signOut(visitor);
  await visitor.recognises(false);
  await visitor.touches(true);
  await signIn(visitor, address);
  await says(page, 'status', 'No passkey was used. Try again');
  assert.equal(await page.getByRole('alert').filter({ hasText: /./ }).count(), 0, 'a closed dialog is no alarm');
  await inspect(visitor, 'cancelled');
  await page.getByRole('button', { name: 'Try again' }).click();
  await says(page, 'status', 'This signs you in as well.');
  await heading(page, 'Enter the code');
  await inspect(visitor, 'code');
  const code = await codeFor(address);
  await page.getByLabel('Code').fill(code === '000000' ? '111111' : '000000');
  await page.getByRole('button', { name: 'Verify' }).click();
  await page.locator('.fault').waitFor();
  assert.equal(await page.getByLabel('Code').getAttribute('aria-invalid'), 'true');
  await inspect(visitor, 'code-wrong');
  await page.getByLabel('Code').fill(code);
  await page.getByRole('button', { name: 'Verify' }).click();
  await heading(page, 'Add a passkey for this device');
  await page.getByText('the ones you have stay as they are').waitFor();
  await inspect(visitor, 'create-after-error');
  await page.getByRole('button', { name: 'Not now' }).click();
  await heading(page, `Signed in as ${address}`);
  await event(page, 'login-explicit-abort');

  await signOut(visitor);
  await signIn(visitor, address);
  const why = await decision(page, 'Offer a passkey login?', 'No', 'Login: no');
  assert.match(why, /L7a\s+user-negative-env-history/);
  const story = await page.locator('.story').innerText();
  assert.doesNotMatch(story, /[a-z]_[a-z]|\w\.\w| holds/, 'the story has names of rules or facts');
  assert.match(await page.locator('.until').innerText(), /until \S+/);
  const told = await page.locator('.reach li').innerText();
  assert.match(told, /2 logins on this device failed: .*\d.*; this way is closed until .*\d.*, unless the user presses for it/);
  assert.doesNotMatch(told + why, /\dT\d\d:\d\d/, 'times are not those of the reader');
  await inspect(visitor, 'failed-twice');
  await prove(visitor, address);
  await heading(page, 'Add a passkey for this device');
  assert.match(await decision(page, 'Offer to create a passkey?', 'Yes'), /A10a\s+process-pk-login-not-offered/);
  assert.match(await page.locator('.causes').first().innerText(), /worked, on this device, [^\n]*: the answer rests on it/);
  await inspect(visitor, 'create-lost');
  await leave(visitor);
});

/** Signs in somebody whose passkey does not answer, up to the calm word about it. */
async function signInWithout(visitor, address) {
  await visitor.recognises(false);
  await visitor.touches(true);
  await signIn(visitor, address);
  await says(visitor.page, 'status', 'No passkey was used. Try again');
}

/** Goes on after a code to the account, whatever is offered on the way. */
async function arriveByCode(visitor, address) {
  const { page } = visitor;
  await prove(visitor, address);
  const notNow = page.getByRole('button', { name: 'Not now' });
  await notNow.or(page.getByRole('heading', { level: 1, name: `Signed in as ${address}` })).waitFor();
  if (await notNow.isVisible()) await notNow.click();
  await heading(page, `Signed in as ${address}`);
}

test('a passkey that is not here, or on another device that cannot be reached, leads to a code', async () => {
  const visitor = await visit(browser);
  const { page } = visitor;
  const address = newAddress();
  await join(visitor, address);
  await signOut(visitor);
  await signInWithout(visitor, address);
  await page.getByRole('button', { name: 'My passkey is not here' }).click();
  await arriveByCode(visitor, address);
  await event(page, 'login-no-credentials');
  await leave(visitor);
});

/** Has answers say that the passkey is on a phone, as they do of a browser that can show codes to phones, which this one cannot. */
const asOnPhone = async (route) => {
  const answer = await route.fetch();
  const json = await answer.json();
  if (json.blockBody.data.blockType === 'passkey-verify') Object.assign(json.blockBody.data, { loginHint: 'cda', otherDevice: 'iCloud Keychain' });
  await route.fulfill({ response: answer, json });
};

test('a phone is asked for when the user says so, as often as they press for it', async () => {
  const visitor = await visit(browser);
  const { page } = visitor;
  const answering = await standBetween(visitor);
  const address = newAddress();
  await join(visitor, address);
  await signOut(visitor);
  await visitor.recognises(false);
  await visitor.touches(true);
  const sources = [];
  page.on('request', (r) => { if (r.url().endsWith('/auth/passkey/login/start')) sources.push(r.postDataJSON().source); });
  answering(/^POST .*\/auth\/login\/init$/, asOnPhone);
  answering(/^POST .*\/auth\/passkey\/login\/start$/, asOnPhone, 3);
  await signIn(visitor, address);
  await heading(page, 'Sign in with your other device');
  await page.getByText('Your passkey is on another device, in iCloud Keychain. Your browser will show a code').waitFor();
  assert.deepEqual(await page.locator('.events .kind').allInnerTexts().then((all) => all.filter((t) => t.includes('abort'))), [], 'no dialog came by itself');
  await inspect(visitor, 'phone');
  const unused = page.getByRole('status').filter({ hasText: 'No passkey was used. Try again' });
  for (const name of ['Show the code', 'Try again', 'Try again']) {
    const asked = page.waitForResponse('**/v2/auth/passkey/login/start');
    await page.getByRole('button', { name }).click();
    await asked;
    await unused.waitFor({ timeout: 60_000 });
  }
  assert.deepEqual(sources, ['button', 'button', 'button']);
  await inspect(visitor, 'phone-cancelled');
  await page.getByRole('button', { name: 'Start over' }).click();
  await heading(page, 'Sign in');
  await signInWithout(visitor, address); // three closed dialogs that were pressed for bar nothing
  await page.getByRole('button', { name: 'Use a passkey from another device' }).click();
  await says(page, 'status', 'No other device can be reached from here.');
  assert.equal(sources.at(-1), 'other-device');
  await arriveByCode(visitor, address);
  await leave(visitor);
});

/** Notes what the page tells the credential manager, which refuses to listen or never says whether it does. */
const listen = () => {
  const answers = [() => Promise.reject(new Error('it does not listen')), () => new Promise(() => {})];
  window.signals = [];
  for (const name of ['signalUnknownCredential', 'signalAllAcceptedCredentials', 'signalCurrentUserDetails']) {
    PublicKeyCredential[name] = (told) => { return answers[window.signals.push({ ...told, call: name }) % answers.length](); };
  }
};

/** Nobody hides a passkey that is deleted, and who has picked one in the field picks no more. */
const picksOnce = () => {
  PublicKeyCredential.signalAllAcceptedCredentials = () => Promise.reject(new Error('it does not listen'));
  const get = navigator.credentials.get.bind(navigator.credentials);
  let picked = false;
  navigator.credentials.get = (options) => {
    if (options.mediation !== 'conditional') return get(options);
    if (!picked) {
      picked = true;
      return get(options);
    }
    return new Promise((_, reject) => { options.signal.addEventListener('abort', () => reject(options.signal.reason)); });
  };
};

test('where an answer is lost, or a passkey is gone, the page says what is true and leads to another passkey', async () => {
  const visitor = await visit(browser, { before: picksOnce });
  const { page } = visitor;
  const answering = await standBetween(visitor);
  const [other, address] = [newAddress(), newAddress()];
  await join(visitor, other);
  const [kept] = await visitor.credentials();
  await visitor.takeOut(kept);
  await signOut(visitor);
  await join(visitor, address);
  answering(deletion, async (route) => {
    await route.fetch();
    return route.abort();
  });
  await page.getByRole('button', { name: /^Delete/ }).click();
  await page.getByRole('button', { name: /for good$/ }).click();
  await says(page, 'status', 'The passkey is deleted here.');
  await page.getByText('There is none yet').waitFor();
  await signOut(visitor);

  const answered = page.waitForResponse('**/v2/auth/passkey/mediation/finish', { timeout: 60_000 });
  await visitor.touches(true);
  await page.reload(); // the browser suggests the passkey that is deleted
  await answered;
  await says(page, 'alert', 'not known here any more');
  await inspect(visitor, 'passkey-gone');
  const [gone] = await visitor.credentials();
  await visitor.takeOut(gone);
  await visitor.putBack(kept);
  await page.getByRole('button', { name: 'Use another passkey' }).click();
  await heading(page, `Signed in as ${other}`);
  await leave(visitor);
});

test('a sign-in by name that is refused leads to another passkey', async () => {
  const visitor = await visit(browser);
  const { page } = visitor;
  const answering = await standBetween(visitor);
  const address = newAddress();
  await join(visitor, address);
  await signOut(visitor);
  answering(/^POST .*\/auth\/passkey\/login\/finish$/, async (route) => {
    const body = route.request().postDataJSON();
    const answer = JSON.parse(body.signedChallenge);
    answer.response.signature = 'AAAA';
    await route.continue({ postData: JSON.stringify({ ...body, signedChallenge: JSON.stringify(answer) }) });
  });
  await visitor.touches(true);
  await signIn(visitor, address);
  await page.getByText('was not accepted').first().waitFor({ timeout: 60_000 });
  await page.getByRole('button', { name: 'Use another passkey' }).click();
  await heading(page, `Signed in as ${address}`);
  await leave(visitor);
});

test('a dialog that opened by itself and was closed leaves the calm offer, and a device that has one already is no error', async () => {
  const visitor = await visit(browser);
  const { page } = visitor;
  const address = newAddress();
  await signUp(visitor, address);
  await visitor.recognises(false);
  await visitor.touches(true);
  await page.getByRole('button', { name: 'Create passkey' }).click();
  await says(page, 'status', 'No passkey was created.');
  assert.equal(await page.getByRole('alert').filter({ hasText: /./ }).count(), 0, 'a closed dialog is no alarm');
  await inspect(visitor, 'create-cancelled');
  await page.evaluate(() => { navigator.credentials.create = () => Promise.reject(new DOMException('there is one', 'InvalidStateError')); });
  await page.getByRole('button', { name: 'Create passkey' }).click();
  await heading(page, `Signed in as ${address}`);
  await says(page, 'status', 'already has a passkey of yours');
  assert.equal(await page.getByRole('alert').filter({ hasText: /./ }).count(), 0);
  await event(page, 'append-credential-exists');
  await leave(visitor);
});

test('declining counts, and the account takes a passkey later, once, and lets go of it', async () => {
  const visitor = await visit(browser);
  const { page } = visitor;
  const address = newAddress();
  await signUp(visitor, address);
  await page.getByRole('button', { name: 'Not now' }).click();
  await heading(page, `Signed in as ${address}`);
  await event(page, 'append-explicit-abort');
  await page.getByText('There is none yet').waitFor();
  await inspect(visitor, 'account-empty');

  await visitor.recognises(false);
  await visitor.touches(true);
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await says(page, 'status', 'No passkey was created');
  assert.equal((await visitor.credentials()).length, 0);
  await leave(visitor);
});

test('declined three times, a user is left in peace, and the counts and the pause are seen', async () => {
  const visitor = await visit(browser);
  const { page } = visitor;
  const address = newAddress();
  await signUp(visitor, address);
  const counts = (declined, pausing) => page.locator('.decision tr', { hasText: 'Manual offers' }).filter({ hasText: new RegExp(`Manual offers\\s*${declined}\\s*${pausing}`) }).waitFor();
  for (const declined of [0, 1, 2]) {
    await decision(page, 'Offer to create a passkey?', 'Yes');
    await counts(declined, 'no');
    await page.getByRole('button', { name: 'Not now' }).click();
    await heading(page, `Signed in as ${address}`);
    await signOut(visitor);
    await signIn(visitor, address);
    await prove(visitor, address);
    if (declined < 2) await heading(page, 'Create a passkey');
  }
  await heading(page, `Signed in as ${address}`);
  const why = await decision(page, 'Offer to create a passkey?', 'No');
  assert.match(why, /manual offers pause/);
  await counts(3, 'yes');
  await inspect(visitor, 'left-in-peace');
  await leave(visitor);
});

/** What is deleted here may stay with whoever keeps passkeys: no word of the page says that it goes there too. */
function promisesNothing(said) {
  const keepers = 'device|password manager|credential manager|provider|phone|everywhere|Apple|Google|iCloud|Keychain';
  assert.doesNotMatch(said, new RegExp(`(delet|remov|eras|gone|forg[oe]t)[^.]*\\b(from|on|in|at|by)\\b[^.]*\\b(${keepers})`, 'i'));
}

test('passkeys of the account: one a device, deleted when asked twice, and the credential manager is told which are left', async () => {
  const visitor = await visit(browser, { before: listen });
  const { page } = visitor;
  await join(visitor, newAddress());
  await visitor.touches(true);
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await says(page, 'status', 'already has a passkey');
  await inspect(visitor, 'refused');
  await page.getByRole('button', { name: /^Delete/ }).click();
  await inspect(visitor, 'delete');
  promisesNothing(await page.locator('main').innerText());
  await focusOn(page, 'Keep');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: /^Delete/ }).waitFor();
  await focusOn(page, 'Delete');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: /for good$/ }).click();
  await page.getByText('There is none yet').waitFor();
  await focusOn(page, 'Passkeys');
  await page.getByRole('status').filter({ hasText: 'Your password manager may still list it.' }).waitFor();
  promisesNothing(await page.locator('main').innerText());
  const told = await page.evaluate(() => window.signals);
  const lists = told.filter((s) => s.call === 'signalAllAcceptedCredentials');
  assert.deepEqual(lists.map((s) => s.allAcceptedCredentialIds.length), [1, 0], 'the list at sign-in and after the deletion');
  assert.ok(told.every((s) => s.rpId === 'localhost' && s.userId === lists[0].userId), JSON.stringify(told));
  assert.ok(told.some((s) => s.call === 'signalCurrentUserDetails' && s.name.includes('@') && s.displayName), JSON.stringify(told));
  assert.ok(!told.some((s) => s.call === 'signalUnknownCredential'), 'a passkey that was revoked is not unknown');
  await leave(visitor);
});

/** Answers a call as a project does that wants a recent sign-in for it. */
const wantsRecentSignIn = (route) => {
  const error = { type: 'reauthentication_required', details: 'log in again: this takes a login that is not older than 10m0s' };
  return route.fulfill({ status: 403, json: { httpStatusCode: 403, message: 'Forbidden', error } });
};

test('where deleting or adding takes a recent sign-in, the page asks for one and goes on with what was asked', async () => {
  const visitor = await visit(browser);
  const { page } = visitor;
  const answering = await standBetween(visitor);
  const address = newAddress();
  await join(visitor, address);
  answering(deletion, wantsRecentSignIn);
  const drop = async () => {
    await page.getByRole('button', { name: /^Delete/ }).click();
    await page.getByRole('button', { name: /for good$/ }).click();
  };
  await drop();
  await heading(page, 'Sign in again first');
  await focusOn(page, 'Sign in again first');
  await inspect(visitor, 'again-delete');
  await page.getByRole('button', { name: 'Not now' }).click();
  await heading(page, `Signed in as ${address}`);
  await page.getByRole('button', { name: /^Delete/ }).waitFor();

  answering(deletion, wantsRecentSignIn);
  await drop();
  await heading(page, 'Sign in again first');
  await visitor.touches(true);
  await page.getByRole('button', { name: 'Sign in again' }).click();
  await says(page, 'status', 'The passkey is deleted here.');
  await heading(page, `Signed in as ${address}`);
  await page.getByText('There is none yet').waitFor();

  answering(/^POST .*\/me\/passkeys\/append\/start$/, wantsRecentSignIn);
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await heading(page, 'Sign in again first');
  await inspect(visitor, 'again-add');
  await page.getByRole('button', { name: 'Sign in again' }).click();
  await prove(visitor, address);
  const notNow = page.getByRole('button', { name: 'Not now' });
  const created = page.getByRole('status').filter({ hasText: 'The passkey has been created.' });
  await notNow.or(created).first().waitFor({ timeout: 60_000 });
  if (await notNow.isVisible()) await notNow.click();
  await created.waitFor({ timeout: 60_000 });
  await page.locator('.passkeys li').waitFor();
  await leave(visitor);
});

test('what is wrong with a form is said at the field', async () => {
  const visitor = await visit(browser);
  const { page } = visitor;
  const address = newAddress();
  await heading(page, 'Sign in');
  await page.getByRole('button', { name: 'Create an account' }).click();
  await heading(page, 'Create an account');
  await page.getByLabel('Email address').fill('no address');
  await page.getByRole('button', { name: 'Create account' }).click();
  await page.locator('.fault').waitFor();
  assert.equal(await page.getByLabel('Email address').getAttribute('aria-invalid'), 'true');
  assert.ok(await page.getByLabel('Email address').evaluate((e) => e === document.activeElement), 'the field at fault has the focus');
  await inspect(visitor, 'sign-up-wrong');
  await page.getByLabel('Email address').fill(address);
  await page.getByRole('button', { name: 'Create account' }).click();
  await heading(page, 'Enter the code');
  await leave(visitor);
});

test('a browser without passkeys says so and signs in by code', async () => {
  const visitor = await visit(browser, { before: () => { delete window.PublicKeyCredential; } });
  const { page } = visitor;
  const address = newAddress();
  await heading(page, 'Sign in');
  await page.getByText('This browser has no passkeys.').first().waitFor();
  await inspect(visitor, 'without-passkeys');
  await page.getByRole('button', { name: 'Create an account' }).click();
  await heading(page, 'Create an account');
  await page.getByLabel('Email address').fill(address);
  await page.getByRole('button', { name: 'Create account' }).click();
  await prove(visitor, address);
  await heading(page, `Signed in as ${address}`);
  await signOut(visitor);
  await signIn(visitor, address);
  await prove(visitor, address);
  await heading(page, `Signed in as ${address}`);
  await leave(visitor);
});

test('a browser that does not know the JSON forms of WebAuthn does as well', async () => {
  const visitor = await visit(browser, { before: () => {
    delete PublicKeyCredential.parseCreationOptionsFromJSON;
    delete PublicKeyCredential.parseRequestOptionsFromJSON;
    delete PublicKeyCredential.prototype.toJSON;
  } });
  const address = newAddress();
  await join(visitor, address);
  await signOut(visitor);
  await visitor.touches(true);
  await signIn(visitor, address);
  await heading(visitor.page, `Signed in as ${address}`);
  await leave(visitor);
});

test('a session that has ended elsewhere leads back to the start', async () => {
  const visitor = await visit(browser);
  const { page } = visitor;
  await join(visitor, newAddress());
  await visitor.context.clearCookies();
  await page.getByRole('button', { name: 'Renew it now' }).click();
  await heading(page, 'Sign in');
  await says(page, 'status', 'The session has ended.');
  await leave(visitor);
});

test('a page opened by address leads to the name', async () => {
  const byAddress = base.replace('localhost', '127.0.0.1');
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(byAddress);
  await page.getByRole('link', { name: `Open ${base}/` }).waitFor();
  await context.close();
});

test('it is small and soon there, and moves nothing about', async () => {
  const visitor = await visit(browser);
  const { page } = visitor;
  await heading(page, 'Sign in');
  await decision(page, 'Suggest passkeys in the field?', 'Yes');
  const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime);
  const shift = await page.evaluate(() => new Promise((resolve) => {
    let sum = 0;
    new PerformanceObserver((list) => { for (const e of list.getEntries()) if (!e.hadRecentInput) sum += e.value; }).observe({ type: 'layout-shift', buffered: true });
    setTimeout(() => resolve(sum), 500);
  }));
  const files = [...visitor.sizes].filter(([url]) => !url.includes('/v2/'));
  const weight = files.reduce((sum, [, size]) => sum + size, 0);
  console.log(`weight ${weight} bytes in ${files.length} files, first contentful paint ${Math.round(paint)} ms, layout shift ${shift.toFixed(4)}`);
  assert.ok(files.length >= 3, 'the files of the page were seen');
  assert.ok(weight < 150_000, `${weight} bytes`);
  assert.ok(shift < 0.1, `layout shift ${shift}`);
  await leave(visitor);
});
