// A browser with a virtual authenticator, and what is held of every screen that it sees.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

export const base = need('SUITE_URL');
const outbox = need('SUITE_OUTBOX');
const chromiumPath = need('SUITE_CHROMIUM');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const shots = new URL('screenshots/', import.meta.url).pathname;
mkdirSync(shots, { recursive: true });

/** Takes a picture. A browser on a busy machine fails to now and then, and what it shows is not what a test is about: it tries again. */
async function picture(page, options) {
  for (let left = 4; ; left--) {
    try {
      return await page.screenshot(options);
    } catch (failed) {
      if (left === 0) throw failed;
      await new Promise((resolve) => { setTimeout(resolve, 1000); });
    }
  }
}

function need(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

export async function launch() {
  // Decisions keep passkeys from browsers that a program drives, so this one does not say that it is one.
  return chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox', '--disable-blink-features=AutomationControlled'] });
}

/** Opens the page in a browser that knows nothing, with an authenticator of its own. Each visitor has a fresh context: an authenticator that refused once refuses for good. */
export async function visit(browser, { before, path = '/', ...options } = {}) {
  const agent = (await version(browser)).userAgent.replace('Headless', '');
  const context = await browser.newContext({ userAgent: agent, viewport: { width: 1280, height: 860 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000); // on a machine that does other work as well
  const visitor = { context, page, foreign: [], wrong: [], sizes: new Map() };
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== base && !request.url().startsWith('data:')) visitor.foreign.push(request.url());
  });
  const open = new Set();
  unanswered.set(page, open);
  page.on('request', (request) => open.add(`${request.method()} ${request.url()}`));
  for (const end of ['requestfinished', 'requestfailed']) page.on(end, (request) => open.delete(`${request.method()} ${request.url()}`));
  page.on('pageerror', (error) => visitor.wrong.push(error.message));
  page.on('console', (said) => {
    if (/Content Security Policy|Trusted ?Type/i.test(said.text())) visitor.wrong.push(said.text());
  });
  const cdp = await context.newCDPSession(page);
  await cdp.send('Network.enable');
  const urls = new Map();
  cdp.on('Network.responseReceived', (event) => urls.set(event.requestId, event.response.url));
  cdp.on('Network.loadingFinished', (event) => visitor.sizes.set(urls.get(event.requestId), event.encodedDataLength));
  await cdp.send('WebAuthn.enable');
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: false },
  });
  /** Whether the user touches the authenticator when asked. */
  visitor.touches = (enabled) => cdp.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled });
  /** Whether it recognises the user; if not, a ceremony ends as if the user had closed the dialog. */
  visitor.recognises = (isUserVerified) => cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified });
  visitor.credentials = async () => (await cdp.send('WebAuthn.getCredentials', { authenticatorId })).credentials;
  /** Takes a credential out of the authenticator, or puts one back that was taken out. */
  visitor.takeOut = ({ credentialId }) => cdp.send('WebAuthn.removeCredential', { authenticatorId, credentialId });
  visitor.putBack = (credential) => cdp.send('WebAuthn.addCredential', { authenticatorId, credential });
  if (before) await page.addInitScript(before);
  await page.goto(base + path);
  return visitor;
}

/** The calls of each page that have no answer yet. */
const unanswered = new WeakMap();

let known;
async function version(browser) {
  if (known) return known;
  const session = await browser.newBrowserCDPSession();
  known = await session.send('Browser.getVersion');
  await session.detach();
  return known;
}

/**
 * Stands between the page and the server from now on, and returns what has the next call of a method and a path be answered otherwise, once
 * or a number of times. It stands there for good: a browser that begins or ceases to hold up calls now and then loses one that is on its way.
 */
export async function standBetween({ page }) {
  const plans = [];
  await page.route('**/v2/**', (route) => {
    const call = `${route.request().method()} ${new URL(route.request().url()).pathname}`;
    const plan = plans.find((one) => one.left > 0 && one.call.test(call));
    if (!plan) return route.continue();
    plan.left--;
    return plan.answer(route);
  });
  return (call, answer, left = 1) => plans.push({ call, answer, left });
}

/** Follows a link to another document and waits until it is there: a click while one document gives way to the next may wait for good. */
export async function follow(page, link) {
  await Promise.all([page.waitForEvent('load', { timeout: 60_000 }), link.click()]);
}

export async function heading(page, name) {
  try {
    await page.getByRole('heading', { level: 1, name }).waitFor();
  } catch {
    await missing(page, `no heading says "${name}"`);
  }
}

/** Waits until a status or an alert says that, and tells what the page shows, and which calls are open, where none does. */
export async function says(page, role, text) {
  try {
    await page.getByRole(role).filter({ hasText: text }).waitFor();
  } catch {
    await missing(page, `no ${role} says "${text}"`);
  }
}

async function missing(page, what) {
  const shown = await page.locator('body').innerText();
  throw new Error(`${what}; unanswered: ${[...unanswered.get(page)]}; the page says:\n${shown.slice(0, 2000)}`);
}

/** Waits until the panel lists an event. */
export const event = (page, type) => page.locator('.events .kind', { hasText: type }).first().waitFor({ timeout: 60_000 });

/** Waits until the panel explains a decision about the question, and returns what it says. The newest is shown, unless one is chosen by its name. */
export async function decision(page, question, verdict, chosen) {
  if (chosen) await page.locator('.history').getByRole('button', { name: chosen }).first().click();
  await page.locator('.decision', { hasText: question }).locator('.verdict', { hasText: new RegExp('^' + verdict) }).waitFor({ timeout: 60_000 });
  return page.locator('.decision').innerText();
}

/** How much has been read of what was sent to each address. */
const read = new Map();

/** Reads what was sent next to an address, where a developer reads it. */
async function sentTo(address, what) {
  const before = read.get(address) ?? 0;
  for (let tries = 0; tries < 100; tries++) {
    const lines = readFileSync(outbox, 'utf8').split('\n').filter((line) => line.includes('[development outbox]') && line.includes(address));
    const found = what.exec(lines[before] ?? '')?.[1];
    if (found) {
      read.set(address, before + 1);
      return found;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`nothing was sent to ${address}`);
}

export const codeFor = (address) => sentTo(address, /: code (\d{6})\b/);
export const linkFor = (address) => sentTo(address, /: link (\S+)/);

/** Holds a screen to what is held of all: no barrier that axe finds, in light and dark, wide and narrow, and nothing wider than the window. Keeps a picture of each. */
export async function inspect({ page }, name) {
  const found = [];
  // What dark looks like does not depend on the width, so three of the four are looked through.
  for (const [width, height, colorScheme, through] of [[1280, 860, 'light', true], [1280, 860, 'dark', true], [320, 720, 'light', true], [320, 720, 'dark', false]]) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    const where = `${name} ${width} ${colorScheme}`;
    const widest = await page.evaluate(() => document.documentElement.scrollWidth);
    if (widest > width) found.push(`${where}: it is ${widest} pixels wide`);
    await picture(page, { path: `${shots}${name}-${width}-${colorScheme}.png`, fullPage: true });
    if (!through) continue;
    await page.evaluate(axe);
    const violations = await page.evaluate(async () => {
      const result = await window.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
      return result.violations.map((v) => `${v.id}: ${v.help} (${v.nodes.map((n) => n.target + ' ' + (n.any[0]?.message ?? '')).join('; ')})`);
    });
    found.push(...violations.map((v) => `${where}: ${v}`));
  }
  await page.setViewportSize({ width: 1280, height: 860 });
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: null });
  assert.deepEqual(found, []);
}

/** What must be true of a visit when it ends. */
export async function leave(visitor) {
  await visitor.context.close();
  assert.deepEqual(visitor.foreign, [], 'a foreign host was asked');
  assert.deepEqual(visitor.wrong, [], 'the page went wrong');
}

/** Goes to what has that name by the tabulator key alone, and fails if it cannot be reached or the focus cannot be seen. */
export async function tabTo(page, name) {
  for (let presses = 0; presses < 40; presses++) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => {
      const e = document.activeElement;
      const label = e.getAttribute('aria-label') ?? e.labels?.[0]?.textContent ?? e.textContent;
      const style = getComputedStyle(e);
      return { label: label.trim(), outlined: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 };
    });
    if (at.label !== name) continue;
    assert.ok(at.outlined, `the focus on ${name} cannot be seen`);
    return;
  }
  throw new Error(`${name} cannot be reached by keyboard`);
}

/** Waits until the focus is where it should be. */
export async function focusOn(page, text) {
  try {
    await page.waitForFunction((wanted) => document.activeElement !== document.body && document.activeElement.textContent.startsWith(wanted), text, { timeout: 20_000 });
  } catch {
    throw new Error(`the focus is not on ${text}, but on ${await page.evaluate(() => document.activeElement.outerHTML.slice(0, 200))}`);
  }
}
