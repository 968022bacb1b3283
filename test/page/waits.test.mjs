// A project that verifies an address after the passkey: the passkey waits for the code.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { codeFor, heading, inspect, launch, leave, visit } from './browser.mjs';

let browser;

before(async () => { browser = await launch(); });
after(async () => { await browser?.close(); });

test('a passkey comes first and signs in once the code has been entered', async () => {
  const visitor = await visit(browser);
  const { page } = visitor;
  const address = `ada-${randomBytes(4).toString('hex')}@example.com`;
  const signIn = async () => {
    await page.getByLabel('Email address').fill(address);
    await page.getByRole('button', { name: 'Continue' }).click();
  };
  await heading(page, 'Sign in');
  await page.getByRole('button', { name: 'Create an account' }).click();
  await page.getByLabel('Email address').fill(address);
  await page.getByRole('button', { name: 'Create account' }).click();
  await heading(page, 'Create a passkey');
  await visitor.touches(true);
  await page.getByRole('button', { name: 'Create passkey' }).click();
  await heading(page, 'Your passkey is ready');
  await visitor.touches(false);
  await page.getByRole('button', { name: 'Continue' }).click();
  await heading(page, 'Enter the code');
  await inspect(visitor, 'waits');

  // Whoever leaves now is sent another code and not asked for the passkey, which stays in this browser.
  await codeFor(address);
  await page.goto(page.url());
  await heading(page, 'Sign in');
  await signIn();
  await heading(page, 'Enter the code');
  await page.getByLabel('Code').fill(await codeFor(address));
  await page.getByRole('button', { name: 'Verify' }).click();
  await heading(page, `Signed in as ${address}`);
  assert.equal((await visitor.credentials()).length, 1);

  await page.getByRole('button', { name: 'Sign out' }).click();
  await heading(page, 'Sign in');
  await visitor.touches(true);
  await signIn();
  await heading(page, `Signed in as ${address}`);
  await leave(visitor);
});
