// A real browser with a virtual authenticator, on a page of another origin than Keyward's: preflights, headers and WebAuthn are the browser's own.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { chromiumPath, eventTypes, grpc, http, newIssuer, newUser, pageOrigin } from './server.mjs';

const ways = [['gRPC-web', http], ['Connect', http], ['gRPC-web', grpc], ['Connect', grpc]];
let browser, script, userAgent;
const pages = [];

// serve serves the page at an origin.
async function serve(origin) {
  const server = createServer((request, answer) => {
    const wanted = request.url === '/page.js';
    answer.setHeader('content-type', wanted ? 'text/javascript' : 'text/html');
    answer.end(wanted ? script : '<!doctype html><title>Account</title><script src="/page.js"></script>');
  });
  await new Promise((resolve) => server.listen(Number(new URL(origin).port), '127.0.0.1', resolve));
  pages.push(server);
  return `http://localhost:${server.address().port}`;
}

// open opens the page in a browser with an authenticator that agrees to everything. A browser that says that nobody looks at it is barred as a robot.
async function open(origin) {
  const context = await browser.newContext({ userAgent });
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send('WebAuthn.enable');
  await session.send('WebAuthn.addVirtualAuthenticator', {
    options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  await page.goto(origin);
  return page;
}

before(async () => {
  const bundled = await build({ entryPoints: ['page.mjs'], bundle: true, format: 'iife', write: false, logLevel: 'error' });
  script = bundled.outputFiles[0].text;
  browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox'] });
  const blank = await browser.newPage();
  userAgent = (await blank.evaluate(() => navigator.userAgent)).replace('Headless', '');
  await blank.close();
});

after(async () => {
  await browser?.close();
  for (const server of pages) { server.closeAllConnections(); server.close(); }
});

test('a page adds a passkey over each protocol that browsers speak', async () => {
  const [origin, issuer] = [await serve(pageOrigin), await newIssuer()];
  for (const [kind, baseUrl] of ways) {
    const page = await open(origin); // with an authenticator of its own
    const userId = await newUser();
    const token = await issuer.token(userId);
    const got = await page.evaluate((with_) => window.addPasskey(with_), { kind, baseUrl, token, userId, passkeyName: `${kind} 🔑` });
    assert.deepEqual(got.names, [`${kind} 🔑`], JSON.stringify(got));
  }
});

test('a page of another origin is kept out', async () => {
  const [page, issuer] = [await open(await serve('http://localhost:0')), await newIssuer()];
  const userId = await newUser();
  const token = await issuer.token(userId);
  const blocked = { predicate: (said) => /blocked by CORS policy/.test(said.text()), timeout: 60_000 };
  for (const [kind, baseUrl] of ways) {
    const call = { kind, baseUrl, token, userId, passkeyName: 'x' };
    const [got] = await Promise.all([page.evaluate((with_) => window.addPasskey(with_), call), page.waitForEvent('console', blocked)]); // the browser says why
    assert.match(got.error, /Failed to fetch/);
  }
  assert.deepEqual(await eventTypes(userId), []);
});
