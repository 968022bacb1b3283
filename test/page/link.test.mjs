// A project that asks for a name, and for an email address that is confirmed by a link.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { base, decision, heading, inspect, launch, leave, linkFor, visit } from './browser.mjs';

let browser;

before(async () => { browser = await launch(); });
after(async () => { await browser?.close(); });

test('a link that is opened elsewhere lets the sign-up go on', async () => {
  const visitor = await visit(browser);
  const { page } = visitor;
  const address = `ada-${randomBytes(4).toString('hex')}@example.com`;
  await heading(page, 'Sign in');
  await page.getByRole('button', { name: 'Create an account' }).click();
  await heading(page, 'Create an account');
  await page.getByLabel('Your name').fill('Ada Lovelace');
  await page.getByLabel('Email address').fill(address);
  await page.getByRole('button', { name: 'Create account' }).click();
  await heading(page, 'Open the link');
  await inspect(visitor, 'link-awaited');

  const link = await linkFor(address);
  assert.ok(link.startsWith(base), link);
  const other = await visit(browser, { path: link.slice(base.length) });
  await heading(other.page, 'Confirm your email address');
  assert.equal(new URL(other.page.url()).search, '', 'the link is not left in the address');
  await inspect(other, 'link');
  await heading(page, 'Open the link'); // opening alone confirms nothing
  await other.page.getByRole('button', { name: 'Confirm' }).click();
  await heading(other.page, 'That is confirmed');
  await leave(other);

  await heading(page, 'Create a passkey');
  await decision(page, 'Offer to create a passkey?', 'Yes');
  await visitor.touches(true);
  await page.getByRole('button', { name: 'Create passkey' }).click();
  await heading(page, 'Your passkey is ready');
  await page.getByRole('button', { name: 'Continue' }).click();
  await heading(page, 'Signed in as Ada Lovelace');
  await leave(visitor);
});
