// The story of the console: from signing in to a promoted canary and back, told in a real browser against the binary that users run.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { base, focusOn, heading, inspect, launch, leave, says, tabTo, visit } from './browser.mjs';
import { call, card, enter as signIn, secret, tokens, user } from './console.mjs';

let browser;

before(async () => { browser = await launch(); });
after(async () => { await browser?.close(); });

const enter = (role, path) => signIn(browser, role, path);

test('who has no token is told how to get one, and a wrong one is refused in words', async () => {
  const visitor = await visit(browser, { path: '/console/decisions?allow=false' });
  const { page } = visitor;
  await page.getByText('keyward operator create').waitFor();
  await inspect(visitor, 'console-sign-in');
  await page.getByLabel('Token of an operator').fill('keyop_1_nobody');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await says(page, 'alert', 'token');
  await page.getByLabel('Token of an operator').fill(tokens.viewer);
  await page.keyboard.press('Enter');
  await heading(page, 'Decisions');
  assert.match(page.url(), /allow=false$/, 'a link leads to where it says after signing in');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Token of an operator').waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length + localStorage.length), 0, 'something is kept of who has signed out');
  assert.deepEqual(await visitor.context.cookies(), [], 'a cookie is kept of who has signed out');
  await leave(visitor);
});

test('the overview says how adoption goes, by the figures of the report', async () => {
  const visitor = await enter('viewer');
  const { page } = visitor;
  await heading(page, 'Overview');
  const told = (await call('viewer', 'GET', `/adoption?unit=day`)).body.groups[0];
  const funnel = await (await card(page, 'What becomes of offers', 'Users with passkeys')).innerText();
  for (const [name, of] of [['Logins', told.logins], ['Creations', told.creations]]) {
    const said = funnel.slice(funnel.indexOf(name));
    for (const [step, n] of [['asked', of.asked], ['offered', of.offered], ['begun', of.started], ['completed', of.completed]]) {
      assert.match(said, new RegExp(`${step}\\s+${n.toLocaleString('en-US')}\\b`), `${name}: ${step}`);
    }
  }
  const denied = (await call('viewer', 'GET', '/decisions?pageSize=1&filter%5B%5D=verdict:eq:challenge')).body.paging.totalItems;
  await (await card(page, 'Risk', 'challenge')).filter({ hasText: new RegExp(`challenge\\s*${denied.toLocaleString('en-US')} ·`) }).waitFor();
  // Each figure of the reasons is as many decisions as the page that it leads to has.
  const reasons = page.getByRole('table', { name: 'Reasons of risk' });
  const figures = await reasons.getByRole('link').all();
  assert.ok(figures.length > 0, 'nothing of the demo was doubted');
  for (const figure of figures) {
    const asked = [...new URL(await figure.getAttribute('href'), base).searchParams].map(([name, value]) => (name === 'since' ? `created:gt:${value}` : `${name}:eq:${value}`));
    const { paging } = (await call('viewer', 'GET', `/decisions?pageSize=1&${asked.map((f) => `filter%5B%5D=${encodeURIComponent(f)}`).join('&')}`)).body;
    assert.equal(await figure.innerText(), paging.totalItems.toLocaleString('en-US'), asked.join(' '));
  }
  await (await card(page, 'Spikes', /none|nothing to compare|decisions were/)).waitFor();
  await (await card(page, 'Running', 'by what is live')).waitFor();
  await page.getByLabel('By', { exact: true }).selectOption('browser');
  await (await card(page, 'By what', 'chrome')).waitFor();
  await inspect(visitor, 'console-overview');
  await leave(visitor);
});

test('why a user was not offered a passkey is found and told in words, and judged with another fact', async () => {
  const visitor = await enter('viewer', `/console/decisions?userID=${user}&action=append&allow=false`);
  const { page } = visitor;
  await heading(page, 'Decisions');
  await page.getByRole('link', { name: 'Why?' }).first().click();
  await heading(page, 'Creation: not offered');
  await (await card(page, 'In words', 'A private window forgets passkeys')).waitFor();
  await (await card(page, 'The table, from the top', 'Answered')).waitFor();
  await page.getByLabel('A fact').fill('client.privateMode');
  await page.getByLabel('is', { exact: true }).fill('false');
  await page.getByRole('button', { name: 'Set the fact' }).click();
  await page.getByRole('button', { name: 'Judge', exact: true }).click();
  await (await card(page, 'Judge with …', 'The recorded answer was row')).filter({ hasText: 'Offered' }).waitFor();
  await inspect(visitor, 'console-decision');
  await leave(visitor);
});

test('each fact of a decision says where it came from, and leads to the event that it was folded from', async () => {
  const { decisions } = (await call('viewer', 'GET', '/decisions?pageSize=1&filter%5B%5D=tag:eq:user-positive-env-history')).body;
  assert.equal(decisions.length, 1, 'nobody of the demo has a passkey that worked');
  const visitor = await enter('viewer', `/console/decisions/${decisions[0].decisionID}`);
  const { page } = visitor;
  const read = await card(page, 'Facts that were read', 'The client');
  const told = (await call('viewer', 'GET', `/decisions/${decisions[0].decisionID}/explanation`)).body.facts.find((f) => f.source?.events);
  assert.ok(told, 'no fact names an event');
  const row = read.getByRole('row', { name: told.path });
  await row.getByRole('link').first().click();
  await page.waitForURL(/\/console\/users\/.*event=/);
  const here = page.locator('.timeline li.here');
  await here.waitFor();
  assert.equal(await here.locator('time').getAttribute('datetime'), new Date(told.source.events[0].created).toISOString());
  await inspect(visitor, 'console-event');
  await leave(visitor);
});

test('a user is found, with what would be offered, what is counted and what happened, and is barred and let off', async () => {
  const visitor = await enter('approver', `/console/users?query=${user}`);
  const { page } = visitor;
  await heading(page, 'Users');
  await page.getByRole('link', { name: user }).click();
  await heading(page, 'Ada Lovelace');
  await (await card(page, 'What happened', 'decision')).waitFor();
  const happened = (await call('approver', 'GET', `/projects/${process.env.SUITE_PROJECT}/users/${user}/timeline`)).body.entries;
  assert.equal(await page.locator('.timeline li').count(), happened.length);
  await page.getByLabel('Do', { exact: true }).selectOption('bar');
  await page.getByLabel('Why').fill('asked to be left alone');
  await page.getByRole('button', { name: 'Bar from offers' }).click();
  await (await card(page, 'Counts and pauses', 'Barred from logins')).waitFor();
  await inspect(visitor, 'console-user');
  await page.getByRole('button', { name: 'Lift' }).click();
  await (await card(page, 'Counts and pauses', 'The bar is lifted')).waitFor();
  assert.equal(await page.getByRole('option', { name: 'Erase' }).count(), 0, 'an approver is offered what an admin may');
  await page.getByRole('link', { name: 'Operators and audit' }).click();
  await heading(page, 'Operators and audit');
  const trail = await card(page, 'What was done', 'approver');
  for (const shown of await trail.getByText('Show', { exact: true }).all()) await shown.click();
  await trail.locator('pre:visible', { hasText: 'asked to be left alone' }).first().waitFor();
  await inspect(visitor, 'console-audit');
  await leave(visitor);
});

test('an admin makes an operator and revokes it, and a key of a project', async () => {
  const visitor = await enter('admin', '/console/operators');
  const { page } = visitor;
  await heading(page, 'Operators and audit');
  await page.getByRole('button', { name: 'Make an operator' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('grace');
  await page.getByRole('dialog').getByRole('button', { name: 'Make an operator' }).click();
  const token = await page.locator('.note code').innerText();
  assert.equal((await fetch(`${base}/operator/v1/me`, { headers: { Authorization: `Bearer ${token}` } })).status, 200);
  const operators = page.getByRole('table', { name: 'Operators' });
  await operators.getByRole('row', { name: /^grace/ }).getByRole('button', { name: 'Revoke' }).click();
  await page.getByRole('button', { name: 'Revoke grace' }).click();
  await (await card(page, 'Operators', 'grace is revoked')).waitFor();
  assert.equal((await fetch(`${base}/operator/v1/me`, { headers: { Authorization: `Bearer ${token}` } })).status, 401);
  await page.getByRole('link', { name: 'Projects and webhooks' }).click();
  await heading(page, 'Projects');
  await page.getByRole('link', { name: process.env.SUITE_PROJECT }).click();
  await page.getByRole('button', { name: 'Make a key' }).waitFor();
  const hook = await fetch(`${base}/v2/webhookEndpoints`, {
    method: 'POST', headers: { Authorization: 'Basic ' + Buffer.from(`${process.env.SUITE_PROJECT}:${process.env.SUITE_SECRET}`).toString('base64'), 'Content-Type': 'application/json' },
    body: JSON.stringify({ url: 'https://hooks.example.com/keyward', subscribedEvents: ['*'] }),
  });
  assert.equal(hook.status, 200, await hook.text());
  await page.reload();
  await page.getByRole('button', { name: 'Pause deliveries' }).click();
  await (await card(page, 'Webhooks', 'Nothing more is sent until it is resumed')).getByRole('button', { name: 'Resume deliveries' }).waitFor();
  await inspect(visitor, 'console-project');
  await page.getByRole('button', { name: 'Resume deliveries' }).click();
  await (await card(page, 'Webhooks', 'What has waited is delivered now')).getByText('in use').waitFor();
  await leave(visitor);
});

test('an operator adds a passkey, signs in with it, and is out when it is removed', async () => {
  const visitor = await enter('viewer', '/console/operators');
  const { page } = visitor;
  await visitor.touches(true);
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await page.getByRole('dialog').getByLabel('Name').fill('laptop');
  await page.getByRole('dialog').getByRole('button', { name: 'Add a passkey' }).click();
  await (await card(page, 'Your passkeys', 'laptop signs you in')).waitFor();
  const [made] = await visitor.credentials();
  assert.equal(made.rpId, 'localhost');
  assert.equal(made.isResidentCredential, true);
  await inspect(visitor, 'console-passkeys');
  await page.getByRole('button', { name: 'Sign out' }).click();

  await visitor.recognises(false);
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await says(page, 'alert', 'No passkey was used');
  await visitor.recognises(true);
  await visitor.touches(true);
  await inspect(visitor, 'console-sign-in-passkey');
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await heading(page, 'Operators and audit');
  await (await card(page, 'Your passkeys', 'laptop')).waitFor();
  await (await card(page, 'What was done', 'operator-passkey-added')).waitFor();
  const [cookie] = await visitor.context.cookies();
  assert.deepEqual([cookie.name, cookie.httpOnly, cookie.secure, cookie.sameSite], ['__Host-keyward-operator', true, true, 'Strict']);

  // An admin takes it away, and the session that it began is over.
  const me = (await call('viewer', 'GET', '/me')).body.operatorID;
  const { passkeys } = (await call('admin', 'GET', `/operators/${me}/passkeys`)).body;
  assert.equal(passkeys.length, 1);
  assert.equal((await call('admin', 'DELETE', `/operators/${me}/passkeys/${passkeys[0].credentialID}`)).status, 200);
  await page.reload();
  await page.getByRole('button', { name: 'Use a passkey' }).click();
  await says(page, 'alert', 'none of an operator');
  await leave(visitor);
});

test('decisions are seen as they are made, and what a caller says is text and nothing else', async () => {
  const visitor = await enter('viewer', '/console/decisions?live=true');
  const { page } = visitor;
  await heading(page, 'Decisions');
  await says(page, 'status', 'Waiting for the next decision');
  const evil = '<img src=x onerror=alert(1)><script>alert(2)</script>';
  const [project, secret] = [process.env.SUITE_PROJECT, process.env.SUITE_SECRET];
  const asked = await fetch(`${base}/v2/risk/evaluate`, {
    method: 'POST', headers: { Authorization: 'Basic ' + Buffer.from(`${project}:${secret}`).toString('base64'), 'Content-Type': 'application/json' },
    body: JSON.stringify({ action: 'payment', userID: user, clientInformation: { remoteAddress: '203.0.113.7', userAgent: evil } }),
  });
  assert.equal(asked.status, 200, await asked.text());
  await page.getByRole('link', { name: 'Why?' }).first().waitFor();
  await page.getByRole('link', { name: 'Why?' }).first().click();
  await (await card(page, 'The record')).locator('summary').click();
  await page.getByText('<img src=x', { exact: false }).first().waitFor({ timeout: 5000 }).catch(() => { /* records may keep what was recognised alone */ });
  assert.equal(await page.locator('img[src="x"]').count(), 0);
  await leave(visitor);
});

test('events are seen as they happen, by kind and user, and lead to the user', async () => {
  const visitor = await enter('viewer', `/console/events?project=${process.env.SUITE_PROJECT}&user=${user}`);
  const { page } = visitor;
  await heading(page, 'Events');
  await says(page, 'status', 'Waiting for the next event');
  const told = await fetch(`${base}/v2/users/${user}/passkeyEvents`, {
    method: 'POST', headers: { Authorization: secret(), 'Content-Type': 'application/json' },
    body: JSON.stringify({ eventType: 'user-login-blacklisted' }),
  });
  assert.equal(told.status, 200, await told.text());
  const row = page.getByRole('table', { name: 'Events' }).getByRole('row', { name: /user-login-blacklisted/ });
  await row.waitFor();
  await inspect(visitor, 'console-events');
  await row.getByRole('link', { name: user }).click();
  await page.locator('.timeline li.here').waitFor();
  await page.goto(`${base}/console/events?of=audit`);
  await page.getByRole('table', { name: 'Security events' }).getByRole('row', { name: /operator-created/ }).first().waitFor();
  await leave(visitor);
});

test('a viewer reads: what others may do is not there, and is refused where it is asked for', async () => {
  const visitor = await enter('viewer', '/console/policy');
  const { page } = visitor;
  await heading(page, 'Policy');
  assert.equal(await page.getByRole('link', { name: 'Change it' }).count(), 0);
  await page.getByRole('link', { name: 'Lists and switches' }).click();
  await heading(page, 'Lists and switches');
  await (await card(page, 'Switches', 'None was ever turned on')).waitFor();
  assert.equal(await page.getByRole('button', { name: 'Stop something' }).count(), 0);
  for (const [method, path, body] of [['POST', '/policy/changes', { revision: 1 }], ['POST', '/switches/all', { on: true }], ['POST', '/policy/replay', { revision: 1 }]]) {
    assert.equal((await call('viewer', method, path, body)).status, 403, path);
  }
  await leave(visitor);
});

test('one change goes from an idea to a promoted canary, and back', async () => {
  const visitor = await enter('approver', '/console/policy');
  const { page } = visitor;
  await heading(page, 'Policy');
  await page.getByRole('button', { name: 'Begin with what comes with the program' }).click();
  await heading(page, 'Revision 1');
  await page.getByRole('button', { name: 'Activate' }).click();
  await page.getByLabel('Why').fill('to begin with');
  await page.getByRole('button', { name: 'Activate revision 1' }).click();
  await (await card(page, 'Going live', 'It is what every instance answers by')).waitFor();
  await page.getByRole('link', { name: 'Change it' }).click();

  // A rule that is wrong is told in place, by file and line.
  await heading(page, 'Change of revision 1');
  await page.getByRole('tab', { name: 'Rules and files' }).click();
  const code = page.locator('.editor .cm-content');
  await code.waitFor();
  await code.click();
  await page.keyboard.press('Control+Home');
  await page.keyboard.type('nonsense here');
  await page.getByRole('button', { name: /^login\/login.rego/ }).first().waitFor();
  await page.locator('.editor .cm-lint-marker-error').first().waitFor();
  await inspect(visitor, 'console-editor');
  assert.equal(await page.getByRole('button', { name: 'Push' }).isDisabled(), true, 'what is refused can be pushed');
  await code.click();
  for (let n = 0; n < 'nonsense here'.length; n++) await page.keyboard.press('Control+z');
  await page.getByText('Change a figure or a rule').waitFor();

  // Scenarios tell what a draft changes of what users meet, one by one; a decision is one of them.
  const { decisions } = (await call('approver', 'GET', `/decisions?pageSize=1&filter%5B%5D=userID:eq:${user}&filter%5B%5D=action:eq:append`)).body;
  await page.goto(`${base}/console/decisions/${decisions[0].decisionID}`);
  await page.getByRole('button', { name: 'Write it down' }).click();
  await page.getByRole('link', { name: 'Try it with a draft' }).click();
  await heading(page, 'Change of revision 1');
  await page.getByRole('button', { name: 'Run the scenarios' }).click();
  await (await card(page, 'Scenarios', /All [\d,]+ passed/)).filter({ hasText: `from-decisions/${decisions[0].decisionID}` }).waitFor();
  await page.getByRole('tab', { name: 'Figures' }).click();
  await page.getByLabel('minimumVersions.macos').fill('99');
  await page.keyboard.press('Tab');
  await page.getByRole('tab', { name: 'Scenarios' }).click();
  await page.getByRole('button', { name: 'Run the scenarios' }).click();
  const ran = await card(page, 'Scenarios', /[\d,]+ of [\d,]+ failed/);
  await ran.getByRole('row', { name: /expected/ }).first().waitFor();
  await inspect(visitor, 'console-scenarios');
  await page.getByRole('tab', { name: 'Figures' }).click();
  await page.getByRole('button', { name: 'as it was' }).first().click();

  // A figure is changed as one, kept over a reload, and pushed.
  await page.getByRole('tab', { name: 'Figures' }).click();
  await page.getByLabel('minimumVersions.ios').fill('99');
  await page.keyboard.press('Tab');
  await says(page, 'status', 'tests passed');
  await page.reload();
  await page.getByText('a draft that this browser kept').waitFor();
  await says(page, 'status', 'tests passed');
  await inspect(visitor, 'console-figures');
  await page.getByRole('button', { name: 'Push', exact: true }).click();
  await page.getByLabel('What it changes, and why').fill('Phones of old get no passkeys');
  await page.getByRole('button', { name: 'Push the revision' }).click();
  await heading(page, 'Revision 2');
  await (await card(page, 'What it changes', 'data.json')).waitFor();

  // It waits for approval until somebody makes it live.
  await page.getByRole('link', { name: 'Policy', exact: true }).first().click();
  await (await card(page, 'Waiting for approval', 'Revision 2')).getByRole('link', { name: 'Look at it and approve' }).click();
  await heading(page, 'Revision 2');

  // Whom would it have touched, and how did that end?
  await page.getByRole('button', { name: 'Replay' }).click();
  const touched = await card(page, 'Whom it would touch', 'would be others');
  const replayed = (await call('approver', 'POST', '/policy/replay', { revision: 2, limit: 50000 })).body;
  await touched.filter({ hasText: `${replayed.different} of ${replayed.decisions.toLocaleString('en-US')} decisions` }).waitFor();
  assert.ok(replayed.different > 0, JSON.stringify(replayed));
  await touched.getByText('Whom that is, and what happened to them').click();
  const systems = replayed.segments.filter((segment) => segment.by === 'os');
  assert.equal(systems.reduce((sum, segment) => sum + segment.count, 0), replayed.different);
  await touched.locator('table').nth(1).getByText(systems[0].of, { exact: true }).first().waitFor();
  await touched.getByRole('link').first().waitFor();
  await inspect(visitor, 'console-revision');

  // A canary is begun, watched, raised and promoted.
  await page.getByRole('button', { name: 'Canary' }).click();
  await page.getByLabel('Share of users').fill('0.5');
  await page.getByRole('button', { name: 'Begin a canary' }).click();
  await heading(page, 'Policy');
  const canary = await card(page, 'Canary', 'judges 50 % of users');
  await canary.getByText('p99 of evaluation').waitFor();
  await inspect(visitor, 'console-canary');
  await canary.getByRole('button', { name: 'Raise' }).click();
  await page.getByLabel('Share of users').fill('1');
  await page.getByRole('button', { name: 'Raise the canary' }).click();
  await card(page, 'Canary', 'judges 100 % of users');
  await canary.getByRole('button', { name: 'Promote' }).click();
  await page.getByRole('button', { name: 'Promote the canary' }).click();
  await (await card(page, 'Live', 'Revision 2 is live')).waitFor();

  // And back.
  await page.getByRole('button', { name: 'Roll back to 1' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Roll back to 1' }).click();
  await (await card(page, 'Live', 'Revision 1 is live')).waitFor();
  await (await card(page, 'What was done', 'A canary was promoted')).waitFor();
  await leave(visitor);
});

test('something is stopped for a while, and a list is added to', async () => {
  const visitor = await enter('approver', '/console/lists');
  const { page } = visitor;
  await heading(page, 'Lists and switches');
  await page.getByRole('button', { name: 'Stop something' }).click();
  await page.getByLabel('Name of the switch').fill('windows-logins');
  await page.getByLabel('What', { exact: true }).selectOption('login');
  await page.getByLabel('On', { exact: true }).selectOption('windows');
  await page.getByLabel('How long').last().selectOption('3600');
  await page.getByRole('button', { name: 'Stop offering' }).click();
  await (await card(page, 'Switches', 'logins on windows')).waitFor();
  await page.getByRole('button', { name: 'Turn off' }).click();
  await page.getByRole('button', { name: 'Turn windows-logins off' }).click();
  await (await card(page, 'Switches', 'windows-logins is off')).waitFor();
  await page.getByRole('combobox', { name: 'List' }).fill('badAddresses');
  await page.getByLabel('Add', { exact: true }).fill('203.0.113.0/33');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await says(page, 'alert', '203.0.113.0/33');
  await page.getByLabel('Add', { exact: true }).fill('203.0.113.0/24');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await (await card(page, 'Lists', '203.0.113.0/24')).waitFor();
  await inspect(visitor, 'console-lists');
  await leave(visitor);
});

test('everything is reached by keyboard, and who changes the page hears of it', async () => {
  const visitor = await visit(browser, { path: '/console' });
  const { page } = visitor;
  await tabTo(page, 'Token of an operator');
  await page.keyboard.type(tokens.viewer);
  await page.keyboard.press('Enter');
  await focusOn(page, 'Overview');
  await page.keyboard.press('Shift+Tab');
  await tabTo(page, 'Decisions').catch(async () => { // it is before the heading
    await page.getByRole('link', { name: 'Decisions' }).focus();
  });
  await page.keyboard.press('Enter');
  await focusOn(page, 'Decisions');
  await leave(visitor);
});

test('a server that does not answer, and one that takes the token no more, are told with what helps', async () => {
  const visitor = await enter('viewer', '/console/policy');
  const { page } = visitor;
  await heading(page, 'Policy');
  await page.route('**/operator/v1/policy/revisions', (route) => route.abort());
  await page.reload();
  await says(page, 'alert', 'Keyward does not answer');
  await page.unroute('**/operator/v1/policy/revisions');
  await page.getByRole('button', { name: 'Try again' }).first().click();
  await page.getByRole('link', { name: '2', exact: true }).first().waitFor();
  await page.route('**/operator/v1/**', (route) => route.fulfill({
    status: 401, contentType: 'application/json', body: JSON.stringify({ httpStatusCode: 401, message: 'Unauthorized', error: { type: 'login_error', details: 'the token has been revoked', links: [] } }),
  }));
  await says(page, 'status', 'the token has been revoked');
  await leave(visitor);
});

test('the first page is light, and nothing may frame it', async () => {
  const visitor = await enter('viewer');
  const { page } = visitor;
  await heading(page, 'Overview');
  const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0);
  const files = [...visitor.sizes].filter(([url]) => url && !url.includes('/operator/'));
  const weight = files.reduce((sum, [, size]) => sum + size, 0);
  console.log(`weight of the console ${weight} bytes in ${files.length} files, first contentful paint ${Math.round(paint)} ms`);
  assert.ok(files.length >= 3, 'the files of the page were seen');
  assert.ok(!files.some(([url]) => url.endsWith('editor.js')), 'the editor is loaded before it is needed');
  assert.ok(weight < 250_000, `${weight} bytes`);
  const response = await fetch(`${base}/console/policy/2`);
  const policy = response.headers.get('content-security-policy');
  for (const rule of ["default-src 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "connect-src 'self'"]) assert.ok(policy.includes(rule), `${rule} is missing of ${policy}`);
  assert.equal((await fetch(`${base}/console/assets/none.js`)).status, 404);
  await leave(visitor);
});
