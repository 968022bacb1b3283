// Passkeys beside a login that exists already, with connect-react. It brings a web-core of its own, of an older major version than the one that the other stories use.
import assert from 'node:assert/strict';
import { backend, connectToken, eventTypes, userOf } from './backend.mjs';
import { device, story } from './browser.mjs';
import { call, newAddress } from './complete.mjs';
import { because } from './history.mjs';

const connect = (visitor, method, ...args) => call(visitor, 'connect', method, ...args);
const home = ({ page }) => page.getByRole('heading', { name: 'Welcome to the shop' }).waitFor();
const heard = async ({ page }, event) => (await page.evaluate(() => window.heard)).filter((h) => h.event === event);
const click = ({ page }, name) => page.getByRole('button', { name, exact: true }).click();

/** Logs in by password, from wherever the fallback leads. */
async function byPassword(visitor, address) {
  const { page } = visitor;
  await page.getByRole('heading', { name: 'Log in with your password' }).waitFor();
  await page.getByLabel('Your address').fill(address);
  await click(visitor, 'Log in with password');
}

/** Names somebody in the form that knows passkeys. */
async function byName(visitor, address) {
  await visitor.page.getByLabel('Email address').fill(address);
  await click(visitor, 'Login');
}

/** Somebody new logs in by password and takes the passkey that is offered then. */
async function takePasskey(visitor, address) {
  await byName(visitor, address); // nobody has the name yet: no passkey login, and no word of why
  await byPassword(visitor, address);
  await visitor.page.getByText('Activate a passkey').waitFor();
  await visitor.shot('offered');
  await click(visitor, 'Activate passkey');
  await visitor.page.getByText('Success!').waitFor();
  await visitor.shot('created');
  await click(visitor, 'Continue');
  await home(visitor);
}

async function everyday(t) {
  const visitor = await device(t, 'connect', { path: '/connect' });
  const { page } = visitor;
  const address = newAddress();
  await page.getByLabel('Email address').waitFor();
  await visitor.shot('login');
  await takePasskey(visitor, address);
  assert.equal((await visitor.credentials()).length, 1);
  const fallen = await heard(visitor, 'fallback');
  assert.deepEqual(fallen, [{ event: 'fallback', details: [address, null] }]);

  // One tap: the last login of this browser is offered by name.
  await click(visitor, 'Log out');
  await page.getByText('Welcome back').waitFor();
  await visitor.shot('one-tap');
  await page.getByText(address).click();
  await home(visitor);
  const [login] = await heard(visitor, 'logged-in');
  assert.equal(login.details[0].sub, await userOf(address));

  // By the text field, once another account was wanted.
  await click(visitor, 'Log out');
  await visitor.touches(false); // so that nothing is picked from the field
  await page.getByText('Switch Account').click();
  await page.getByLabel('Email address').waitFor();
  await visitor.shot('switched');
  await visitor.touches(true);
  await byName(visitor, address);
  await home(visitor);
  assert.equal((await heard(visitor, 'logged-in')).length, 2);

  await click(visitor, 'Passkeys');
  await page.locator('.cb-passkey-list-item').waitFor();
  await visitor.shot('list');
  assert.match(await page.locator('.cb-passkey-list-item').innerText(), /Created: .* with Chrome on Linux/);
  await click(visitor, 'Add a passkey');
  await page.getByText('No passkey created').waitFor();
  await visitor.shot('one-a-device');
  await click(visitor, 'Okay');
  await page.locator('.cb-passkey-list-item-delete-icon > *').click();
  await page.getByText('Delete passkey').waitFor();
  await visitor.shot('delete');
  await click(visitor, 'Delete');
  await page.getByText('There is currently no passkey saved for this account').waitFor();
  await visitor.shot('deleted');
  const types = await eventTypes(await userOf(address));
  for (const type of ['append-completed', 'login-completed', 'login-one-tap-switch', 'append-credential-exists']) assert.ok(types.includes(type), `${type}: ${types}`);
}

async function suggested(t) {
  const visitor = await device(t, 'connect-suggested', { path: '/connect' });
  const address = newAddress();
  await takePasskey(visitor, address);
  await visitor.page.evaluate(() => localStorage.clear()); // the browser forgets who was here, its password manager does not
  await visitor.open('/connect');
  await home(visitor);
  const [login] = await heard(visitor, 'logged-in');
  assert.equal(login.details[0].sub, await userOf(address));
  await visitor.shot('logged-in');
}

async function barred(t) {
  const visitor = await device(t, 'connect-barred', { path: '/connect' });
  const address = newAddress();
  await takePasskey(visitor, address);
  await backend('POST', `/v2/users/${await userOf(address)}/passkeyEvents`, { eventType: 'user-login-blacklisted' });
  await click(visitor, 'Log out');
  await visitor.page.getByText(address).click();
  await visitor.page.getByRole('heading', { name: 'Log in with your password' }).waitFor();
  await visitor.shot('fallback');
  await because(visitor, 'L4', 'user-login-blacklisted');
}

// What connect-react does not do yet, and the newer web-core does: the browser hears which passkeys are left, so that its password manager suggests no other.
async function signalled(t) {
  const visitor = await device(t, 'signal');
  const address = newAddress();
  await connect(visitor, 'appendInit');
  const start = await connect(visitor, 'startAppend', await connectToken('passkey-append', address), Date.now());
  await connect(visitor, 'completeAppend', start.attestationOptions, 'manual');
  const list = await connectToken('passkey-list', address);
  await connect(visitor, 'manageInit');
  const { passkeys, signalAllAcceptedCredentials } = await connect(visitor, 'manageList', list, true);
  assert.ok(signalAllAcceptedCredentials);
  assert.equal((await visitor.credentials()).length, 1, 'what is on the list stays');
  await visitor.shot('list');
  await connect(visitor, 'manageDelete', await connectToken('passkey-delete', address), passkeys[0].id);
  assert.equal((await visitor.credentials()).length, 1, 'the authenticator does not know yet');
  assert.deepEqual((await connect(visitor, 'manageList', list, true)).passkeys, []);
  assert.deepEqual(await visitor.credentials(), [], 'the authenticator has let go of it');
  await visitor.shot('signalled');
}

export function connectStories() {
  story('a passkey that was deleted is gone from the authenticator too', signalled);
  story('a passkey beside a password: create, one tap, by name, list, delete', everyday);
  story('a passkey that the browser suggests', suggested);
  story('a login that an operator bars falls back to the password', barred);
}
