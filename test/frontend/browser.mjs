// Devices: each is a browser with a profile of its own and an authenticator. Contexts of one browser would be private windows, in which the SDKs notice that they are, and in
// which decisions then do not offer to create a passkey.
import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { chromiumPath, pageOrigin } from './settings.mjs';

export const shots = new URL('screenshots/', import.meta.url).pathname;
rmSync(shots, { recursive: true, force: true });
mkdirSync(shots);

/** Takes a picture. A browser on a busy machine fails to now and then, and what it shows is not what a test is about: it tries again. */
export async function picture(page, options) {
  for (let left = 4; ; left--) {
    try {
      return await page.screenshot(options);
    } catch (failed) {
      if (left === 0) throw failed;
      await new Promise((resolve) => { setTimeout(resolve, 1000); });
    }
  }
}

const args = [
  '--no-sandbox', '--ignore-certificate-errors', '--host-resolver-rules=MAP *.example 127.0.0.1, MAP * ~NOTFOUND', // nothing leaves this machine
  // Decisions keep passkeys from browsers that a program drives, so this one does not say that it is one.
  '--disable-blink-features=AutomationControlled',
];
export const agents = {
  linux: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/148.0.0.0 Safari/537.36',
  windows: 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/148.0.0.0 Safari/537.36',
  android: 'Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/148.0.0.0 Mobile Safari/537.36',
};
/** A test of which a step that never ends fails only itself. */
export const story = (name, tell, timeout = 180_000) => test(name, { timeout }, tell);

const platform = { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true };

/** Opens a device at a path of the website, until the test is over. before runs in each page ahead of its scripts. */
export async function device(t, story, { path = '/complete', agent = 'linux', authenticator = {}, before, privately = false } = {}) {
  const options = { executablePath: chromiumPath, args, userAgent: agents[agent], viewport: { width: 900, height: 700 } };
  const profile = await mkdtemp(join(tmpdir(), 'profile-'));
  const browser = privately ? await chromium.launch({ executablePath: chromiumPath, args }) : null;
  const context = browser ? await browser.newContext({ userAgent: agents[agent], viewport: options.viewport }) : await chromium.launchPersistentContext(profile, options);
  if (before) await context.addInitScript(before);
  const wrong = [];
  t.after(async () => {
    await context.close();
    await browser?.close();
    await rm(profile, { recursive: true, force: true });
    assert.deepEqual(wrong, [], 'the page went wrong');
  });
  const page = context.pages()[0] ?? await context.newPage();
  page.setDefaultTimeout(60_000);
  const cdp = await context.newCDPSession(page);
  await cdp.send('WebAuthn.enable');
  const visitor = { context, page, cdp };
  page.on('response', (response) => { visitor.decision = response.headers()['x-keyward-decision-id'] ?? visitor.decision; });
  page.on('pageerror', (error) => wrong.push(error.message));
  let steps = 0;
  Object.assign(visitor, {
    /** Keeps what the page shows. */
    shot: (name) => picture(page, { path: `${shots}${story}-${String(++steps).padStart(2, '0')}-${name}.png` }),
    /** Plugs in another authenticator, in the place of the one before. */
    plug: async (other = {}) => {
      if (visitor.authenticatorId) await cdp.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId: visitor.authenticatorId });
      ({ authenticatorId: visitor.authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', { options: { ...platform, ...other } }));
    },
    /** Plugs in another authenticator beside the one that is there. */
    also: (other) => cdp.send('WebAuthn.addVirtualAuthenticator', { options: { ...platform, ...other } }),
    /** Whether the user touches the authenticator when asked. */
    touches: (enabled) => cdp.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId: visitor.authenticatorId, enabled }),
    /** Whether it recognises the user; if not, a ceremony ends as if the user had closed the dialog. */
    recognises: (isUserVerified) => cdp.send('WebAuthn.setUserVerified', { authenticatorId: visitor.authenticatorId, isUserVerified }),
    credentials: async () => (await cdp.send('WebAuthn.getCredentials', { authenticatorId: visitor.authenticatorId })).credentials,
    /** Gives the authenticator a passkey, as a password manager that syncs does. */
    give: (credential) => cdp.send('WebAuthn.addCredential', { authenticatorId: visitor.authenticatorId, credential }),
    open: (where) => page.goto(new URL(where, pageOrigin).href),
  });
  await visitor.plug(authenticator);
  await visitor.open(path);
  return visitor;
}
