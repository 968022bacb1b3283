// Passkeys that are on another device than the one that asks: a phone that is reached over Bluetooth, a password manager that syncs.
import assert from 'node:assert/strict';
import { events, userOf } from './backend.mjs';
import { device, story } from './browser.mjs';
import { enter, is, join, newAddress, process, session } from './complete.mjs';
import { because } from './history.mjs';

// A phone's passkeys say that the phone can be reached over Bluetooth too; Chromium's virtual authenticators say only how they were reached. Nothing signs that.
function asPhone() {
  const toJSON = PublicKeyCredential.prototype.toJSON;
  PublicKeyCredential.prototype.toJSON = function () {
    const told = toJSON.call(this);
    if (told.response?.transports) told.response.transports = ['hybrid', 'internal'];
    return told;
  };
}

// A computer with Bluetooth, which the machine that runs this may not have.
function withBluetooth() {
  Object.defineProperty(navigator, 'bluetooth', { value: { getAvailability: async () => true } });
  const known = PublicKeyCredential.getClientCapabilities.bind(PublicKeyCredential);
  PublicKeyCredential.getClientCapabilities = async () => ({ ...await known(), hybridTransport: true });
}

const synced = { defaultBackupEligibility: true, defaultBackupState: true };

async function afterPhone(t) {
  const phone = await device(t, 'phone', { agent: 'android', authenticator: synced, before: asPhone });
  const address = newAddress();
  await join(phone, address);
  const { passkeys: [first] } = await session(phone, 'passkeyList');
  assert.deepEqual([...first.transport].sort(), ['hybrid', 'internal']);
  await phone.shot('created');

  const computer = await device(t, 'computer', { agent: 'windows', before: withBluetooth });
  const { authenticatorId: overBluetooth } = await computer.also({ transport: 'hybrid', ...synced });
  for (const credential of await phone.credentials()) await computer.cdp.send('WebAuthn.addCredential', { authenticatorId: overBluetooth, credential });
  is(await process(computer, 'init', 'login-init'), 'login-init');
  const asked = await process(computer, 'initLogin', address, false);
  is(asked, 'passkey-verify');
  assert.equal(asked.blockBody.data.loginHint, 'cda', 'the page can say that the phone is needed');
  await because(computer, 'L10', 'user-cross-platform-pk-high-confidence');
  await computer.shot('use-your-phone');
  const offered = await process(computer, 'loginWithPasskey');
  is(offered, 'passkey-append');
  assert.equal(offered.blockBody.data.variant, 'after-hybrid');
  await because(computer, 'A11', 'process-pk-login-cross-platform-completed');
  await computer.shot('a-passkey-here-too');
  is(await process(computer, 'appendPasskey'), 'passkey-appended');
  assert.equal((await computer.credentials()).length, 1, 'it is on the computer itself');
  await enter(computer, await process(computer, 'finishAuthProcess'));
  const { passkeys } = await session(computer, 'passkeyList');
  assert.equal(passkeys.length, 2);
  assert.match(passkeys.find((p) => p.id !== first.id).sourceOS, /Windows/);
  await computer.shot('both');

  // From now on the computer needs no phone.
  await computer.cdp.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId: overBluetooth });
  await session(computer, 'logout');
  await computer.open('/complete');
  await process(computer, 'init', 'login-init');
  is(await process(computer, 'initLogin', address, false), 'passkey-verify');
  await because(computer, 'L6', 'user-positive-env-history');
  const done = await process(computer, 'loginWithPasskey');
  is(done, 'completed');
  assert.equal(done.blockBody.data.passkeyOperation.ceremonyType, 'local');
}

async function afterSync(t) {
  const first = await device(t, 'synced-first', { authenticator: synced });
  const address = newAddress();
  await join(first, address);
  const { passkeys: [made] } = await session(first, 'passkeyList');
  assert.ok(made.backupEligible && made.backupState, JSON.stringify(made));
  await first.shot('backed-up');

  const second = await device(t, 'synced-second', { authenticator: synced });
  for (const credential of await first.credentials()) await second.give(credential);
  is(await process(second, 'init', 'login-init'), 'login-init');
  is(await process(second, 'initLogin', address, false), 'passkey-verify');
  await because(second, 'L11', 'user-platform-pk-high-confidence');
  const done = await process(second, 'loginWithPasskey');
  await enter(second, done); // a device that has a passkey is offered no other
  assert.equal(done.blockBody.data.passkeyOperation.ceremonyType, 'local');
  const { passkeys } = await session(second, 'passkeyList');
  assert.deepEqual(passkeys.map((p) => p.id), [made.id]);
  await second.shot('recognised');
  const told = await events(await userOf(address));
  const environments = new Set(told.map((e) => e.clientEnvID).filter(Boolean));
  assert.equal(environments.size, 2, JSON.stringify(told));
}

export function elsewhereStories() {
  story('after a login with a phone the computer is offered a passkey of its own', afterPhone);
  story('a passkey that syncs is recognised on the next device', afterSync);
}
