// What the console promises beyond its stories: texts of strangers stay text, figures are counts over the log, much is no hindrance, and a
// server that is slow, or away for a while, costs nobody anything.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { gzipSync, gunzipSync } from 'node:zlib';
import { base, heading, launch, leave, says } from './browser.mjs';
import { backend, call, card, enter, project, secret, user } from './console.mjs';

let browser;
before(async () => { browser = await launch(); });
after(async () => { await browser?.close(); });

const revisions = async () => (await call('approver', 'GET', '/policy/revisions')).body;

/** Pushes what comes with the program if nothing was pushed yet, makes it live, and returns its number. */
async function begun() {
  const all = await revisions();
  if (all.live) return all.live;
  const { bundle } = (await call('approver', 'GET', '/policy/shipped')).body;
  const { number } = (await call('approver', 'POST', '/policy/revisions', { bundle, message: 'As it comes with the program' })).body;
  assert.equal((await call('approver', 'POST', '/policy/changes', { revision: number })).status, 200);
  return number;
}

// -- texts of strangers --

/** A text that does something where it is taken for markup or script, and the word by which it is found. */
const evil = (word) => `${word}<img src=x onerror="window.harmed='${word}'"><script>window.harmed='${word}'</script>"'\`\${1}`;

test('what anybody may write is text on every page and nothing else', async () => {
  const first = await begun();
  const mallory = (await backend('POST', '/users', { fullName: evil('fullname'), status: 'active' })).body.userID;
  const wrote = {};
  const note = (what, { status, body }) => { wrote[what] = status; if (status !== 200) console.log(`xss: ${what}: ${JSON.stringify(body.error?.validation ?? body)}`); };
  note('an identifier', await backend('POST', `/users/${mallory}/identifiers`, { identifierType: 'username', identifierValue: evil('username' + randomBytes(3).toString('hex')).slice(0, 120), status: 'verified' }));
  note('an event', await backend('POST', `/users/${mallory}/passkeyEvents`, { eventType: 'login-error', processID: evil('process').slice(0, 60), clientEnvID: evil('environment').slice(0, 60) }));
  note('an evaluation', await backend('POST', '/risk/evaluate', {
    action: 'payment', userID: mallory, processID: evil('process').slice(0, 60),
    clientInformation: { remoteAddress: '203.0.113.9', userAgent: evil('agent'), parsedDeviceInfo: { browserName: evil('browser'), browserVersion: evil('v'), osName: evil('os'), osVersion: evil('o') } },
  }));
  note('an append start', await backend('POST', '/passkey/append/start', {
    userID: mallory, processID: `p-${randomBytes(4).toString('hex')}`, username: evil('name').slice(0, 60), passkeyIntelFlags: { forcePasskeyAppend: false },
    clientInformation: { remoteAddress: '203.0.113.9', userAgent: evil('agent'), parsedDeviceInfo: { browserName: evil('browser'), browserVersion: '1', osName: evil('os'), osVersion: '1' } },
  }));
  note('an operator', await call('admin', 'POST', '/operators', { name: evil('operator').slice(0, 60), role: 'viewer' }));
  note('a list', await call('approver', 'POST', '/lists/evil-list', { kind: 'environment', add: [evil('entry').slice(0, 190)], reason: evil('why').slice(0, 400) }));
  note('a switch', await call('approver', 'POST', '/switches/evil-switch', { on: true, seconds: 60, about: { os: 'ios', action: 'mediation' }, reason: evil('switch') }));
  note('a bar', await call('approver', 'POST', `/projects/${project}/users/${mallory}/bars`, { of: 'login', seconds: 60, reason: evil('bar').slice(0, 300) }));
  const { bundle } = (await call('approver', 'GET', `/policy/revisions/${first}/bundle`)).body;
  note('a revision', await call('author', 'POST', '/policy/revisions', { bundle: withFile(bundle, 'remark/remark.rego', Buffer.from(`package keyward.remark\n\n# ${evil('rego').replaceAll('\n', ' ')}\n`)), message: evil('message') }));
  note('a webhook', await backend('POST', '/webhookEndpoints', { url: `https://example.com/?${encodeURIComponent(evil('hook'))}`, subscribedEvents: ['*'] }));
  console.log('xss: answers by what was written:', JSON.stringify(wrote));
  for (const must of ['an event', 'a revision', 'an evaluation']) assert.equal(wrote[must], 200, `${must} was not taken`);

  const decisions = (await call('viewer', 'GET', `/decisions?pageSize=3&filter%5B%5D=userID:eq:${mallory}`)).body.decisions;
  assert.ok(decisions.length > 0, 'nothing was decided about whoever wrote it');
  const { revisions: all } = await revisions();
  const visitor = await enter(browser, 'admin', '/console');
  const { page } = visitor;
  await heading(page, 'Overview');
  const seen = new Set();
  const pages = [
    '/console', '/console/decisions', `/console/decisions?userID=${encodeURIComponent(evil('query'))}`, '/console/users?query=' + encodeURIComponent(evil('query')), `/console/users?projectID=${project}&query=${mallory}`,
    `/console/users/${project}/${mallory}`, '/console/policy', `/console/policy/${all[0].number}`, `/console/policy/${all[0].number}/edit`, '/console/lists', '/console/projects', `/console/projects/${project}`,
    '/console/operators', '/console/events?of=audit', `/console/events?user=${encodeURIComponent(evil('query'))}`, ...decisions.map((d) => `/console/decisions/${d.decisionID}`),
  ];
  for (const path of pages) {
    await page.goto(base + path);
    await page.getByRole('heading', { level: 1 }).first().waitFor();
    await page.locator('.waiting').first().waitFor({ state: 'detached' });
    for (const summary of await page.locator('main summary').all()) await summary.click({ timeout: 1000 }).catch(() => { /* it was replaced */ });
    const found = await page.evaluate(() => ({ harmed: window.harmed, made: document.querySelectorAll('img[src="x"], script:not([src])').length, text: document.body.innerText }));
    assert.deepEqual([found.harmed, found.made], [undefined, 0], path);
    for (const [, word] of found.text.matchAll(/(\w+)<img src=x/g)) seen.add(word);
  }
  console.log('xss: seen as text:', [...seen].sort().join(' '));
  for (const word of ['fullname', 'message']) assert.ok(seen.has(word), `${word} was on no page, so that nothing is known of it`);
  await leave(visitor);
});

// -- figures --

test('every figure of the overview is a count over the log of decisions', async () => {
  const log = [];
  for (let at = '0'; ;) {
    const response = await fetch(`${base}/operator/v1/decisions/log?limit=1000&after=${at}`, { headers: { Authorization: `Bearer ${JSON.parse(process.env.SUITE_TOKENS).viewer}` } });
    const lines = (await response.text()).split('\n').filter(Boolean).map((line) => JSON.parse(line));
    if (lines.length === 0) break;
    log.push(...lines);
    at = lines.at(-1).custom.position;
  }
  const about = (action) => log.filter((r) => r.path.includes(`/${action}/`));
  const visitor = await enter(browser, 'viewer');
  const { page } = visitor;
  await heading(page, 'Overview');
  const figure = (n) => n.toLocaleString('en-US');
  const funnel = await (await card(page, 'What becomes of offers', 'Users with passkeys')).innerText();
  for (const [name, action] of [['Logins', 'login'], ['Creations', 'append']]) {
    const of = about(action);
    const said = funnel.slice(funnel.indexOf(name));
    assert.match(said, new RegExp(`asked\\s+${figure(of.length)}\\b`), `${name}: ${of.length} in the log, ${said.slice(0, 200)}`);
    assert.match(said, new RegExp(`offered\\s+${figure(of.filter((r) => r.custom.allow).length)}\\b`), `${name} offered`);
  }
  const verdicts = {};
  for (const r of log) {
    const verdict = r.path.includes('/risk/') ? r.result?.action : r.custom.risk?.action;
    if (verdict) verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
  }
  const risk = await (await card(page, 'Risk', 'allow')).innerText();
  for (const [verdict, n] of Object.entries(verdicts)) assert.match(risk, new RegExp(`${verdict}\\s+${figure(n)} ·`), `${verdict}: ${n} in the log; ${risk}`);
  console.log(`figures: ${log.length} decisions in the log, verdicts ${JSON.stringify(verdicts)}`);
  await leave(visitor);
});

// -- much --

test('a thousand decisions a second are sampled, which is said, and the page goes on answering', async () => {
  const { decisions: [sample] } = (await call('viewer', 'GET', '/decisions?pageSize=1')).body;
  const visitor = await enter(browser, 'viewer', '/console', {
    // The stream is fed within the page: a machine that makes a thousand decisions a second has nothing left to show them with.
    before: `(() => {
      const real = window.fetch, sample = ${JSON.stringify(sample)};
      window.longTasks = [];
      new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((e) => e.duration))).observe({ type: 'longtask', buffered: false });
      window.fetch = (input, init) => {
        const url = String(input && input.url || input);
        if (!url.includes('/decisions/stream') || !location.search.includes('live=true')) return real(input, init);
        let n = 0;
        const body = new ReadableStream({ start(to) {
          const begin = performance.now();
          const timer = setInterval(() => {
            let text = '';
            for (const due = Math.floor(performance.now() - begin); n < due; n++) text += 'id: ' + (n + 1) + '\\nevent: decision\\ndata: ' + JSON.stringify({ ...sample, decisionID: 'dec-' + n, created: new Date().toISOString() }) + '\\n\\n';
            if (text) to.enqueue(new TextEncoder().encode(text));
          }, 20);
          init.signal.addEventListener('abort', () => clearInterval(timer));
        } });
        return Promise.resolve(new Response(body, { headers: { 'Content-Type': 'text/event-stream' } }));
      };
    })()`,
  });
  const { page } = visitor;
  await heading(page, 'Overview');
  await page.getByRole('link', { name: 'Decisions', exact: true }).click();
  await page.getByRole('button', { name: 'Watch live' }).click();
  await page.getByRole('status').filter({ hasText: 'were shown: at most 20 a second' }).waitFor();
  const from = await page.evaluate(() => { window.longTasks.length = 0; return performance.now(); });
  await page.getByRole('status').filter({ hasText: /(^|\D)([6-9]|\d\d),\d{3} came/ }).waitFor();
  const [took, tasks] = await page.evaluate((begin) => [performance.now() - begin, window.longTasks], from);
  const blocked = tasks.reduce((sum, ms) => sum + ms, 0);
  console.log(`live view: ${Math.round(took)} ms at 1,000 decisions a second, ${tasks.length} long tasks${tasks.length ? `, the longest ${Math.round(Math.max(...tasks))} ms` : ''}`);
  // A machine that does other work has long tasks of its own: what must not be is that they take the page.
  assert.ok(blocked < took / 4, `${Math.round(blocked)} of ${Math.round(took)} ms the page answered nobody`);
  assert.ok(await page.getByRole('table').getByRole('row').count() <= 101, 'more rows are kept than anybody reads');
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('button', { name: 'Go on' }).waitFor();
  await leave(visitor);
});

/** Adds a file to a bundle, which is a gzipped tar. */
function withFile(bundle, name, content) {
  const head = Buffer.alloc(512);
  head.write(name, 0);
  head.write('0000644\0', 100);
  head.write('0000000\0', 108);
  head.write('0000000\0', 116);
  head.write(content.length.toString(8).padStart(11, '0') + '\0', 124);
  head.write('00000000000\0', 136);
  head.write('        ', 148);
  head.write('0', 156);
  head.write('ustar\x0000', 257);
  head.write([...head].reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0') + '\0 ', 148);
  const tar = gunzipSync(Buffer.from(bundle, 'base64'));
  return gzipSync(Buffer.concat([head, content, Buffer.alloc((512 - (content.length % 512)) % 512), tar])).toString('base64');
}

test('a bundle of 2 MB is opened, changed and checked', async () => {
  const first = await begun();
  const { bundle } = (await call('approver', 'GET', `/policy/revisions/${first}/bundle`)).body;
  const lines = Array.from({ length: 20_000 }, () => '# ' + randomBytes(49).toString('hex')).join('\n');
  const large = withFile(bundle, 'large/large.rego', Buffer.from(`package keyward.large\n\n${lines}\n`));
  const pushed = await call('author', 'POST', '/policy/revisions', { bundle: large, message: 'Two megabytes of remarks' });
  assert.equal(pushed.status, 200, JSON.stringify(pushed.body).slice(0, 300));
  const visitor = await enter(browser, 'author', `/console/policy/${pushed.body.number}/edit`);
  const { page } = visitor;
  const begin = Date.now();
  await heading(page, `Change of revision ${pushed.body.number}`);
  await page.getByRole('tab', { name: 'Rules and files' }).click();
  await page.locator('.picker select').selectOption('large/large.rego');
  await page.locator('.editor .cm-content').filter({ hasText: 'package keyward.large' }).waitFor();
  const opened = Date.now() - begin;
  await page.locator('.editor .cm-content').click();
  await page.keyboard.press('Control+Home');
  const typing = Date.now();
  await page.keyboard.type('# a remark');
  const typed = Date.now() - typing;
  await page.keyboard.press('Enter');
  await says(page, 'status', 'tests passed');
  console.log(`2 MB: ${(lines.length / 1e6).toFixed(1)} MB of a file, opened in ${opened} ms, ten letters in ${typed} ms, checked ${Date.now() - typing} ms after the first`);
  await leave(visitor);
});

// -- two at once --

test('two tabs and two operators who change the same revision hear of each other, and overwrite nothing', async () => {
  const first = await begun();
  const one = await enter(browser, 'author', `/console/policy/${first}/edit`);
  await heading(one.page, `Change of revision ${first}`);
  const tab = await one.context.newPage();
  await tab.goto(`${base}/console/policy/${first}/edit`);
  await heading(tab, `Change of revision ${first}`);
  await tab.getByLabel('minimumVersions.ios').fill('98');
  await tab.keyboard.press('Tab');
  await says(one.page, 'alert', 'Another tab edits this draft too');
  await one.page.getByRole('button', { name: 'Take what the other tab has' }).click();
  assert.equal(await one.page.getByLabel('minimumVersions.ios').inputValue(), '98');
  await tab.close();
  await says(one.page, 'status', 'tests passed');

  const two = await enter(browser, 'approver', `/console/policy/${first}/edit`);
  await two.page.getByLabel('minimumVersions.android').fill('97');
  await two.page.keyboard.press('Tab');
  await says(two.page, 'status', 'tests passed');
  await two.page.getByRole('button', { name: 'Push', exact: true }).click();
  await two.page.getByLabel('What it changes, and why').fill('The other one was first');
  await two.page.getByRole('button', { name: 'Push the revision' }).click();
  await heading(two.page, /^Revision \d+$/);

  await one.page.getByRole('button', { name: 'Push', exact: true }).click();
  await one.page.getByRole('dialog').getByText('The other one was first').waitFor();
  await one.page.getByLabel('What it changes, and why').fill('Second');
  await one.page.getByRole('button', { name: 'Push the revision' }).click();
  await heading(one.page, /^Revision \d+$/);
  const { revisions: all } = await revisions();
  assert.deepEqual(all.slice(0, 2).map((r) => r.message), ['Second', 'The other one was first'], 'one of the two was lost');
  await leave(one);
  await leave(two);
});

// -- a server that is slow, and one that is away --

test('what is slow is said to be on its way, and what fails later is said to be old', async () => {
  const visitor = await enter(browser, 'viewer', '/console/lists');
  const { page } = visitor;
  await heading(page, 'Lists and switches');
  let held = [];
  await page.route('**/operator/v1/policy/**', (route) => new Promise((go) => held.push(() => go(route.continue()))));
  await page.getByRole('link', { name: 'Policy', exact: true }).click();
  await page.getByRole('status', { name: 'Loading' }).first().waitFor();
  const release = setInterval(() => { held.forEach((go) => go()); held = []; }, 100);
  await (await card(page, 'Live', 'Revision')).waitFor();
  clearInterval(release);
  await page.unrouteAll({ behavior: 'ignoreErrors' });
  await page.route('**/operator/v1/policy/status', (route) => route.fulfill({ status: 503, contentType: 'application/json', body: JSON.stringify({ httpStatusCode: 503, message: 'Service Unavailable', error: { type: 'unavailable', details: 'the store cannot be reached', links: [] } }) }));
  await says(page, 'alert', 'What is below may be out of date');
  await (await card(page, 'Live', 'Revision')).waitFor(); // what was there stays
  await page.unrouteAll({ behavior: 'ignoreErrors' });
  await page.getByRole('alert').first().waitFor({ state: 'detached' });
  await leave(visitor);
});

test('a server that restarts during a canary is missed, said to be, and found again with its canary', async () => {
  const first = await begun();
  const { revisions: all } = await revisions();
  const other = all.find((r) => r.number !== first);
  const steered = await call('approver', 'POST', '/policy/canary', { step: 'begin', revision: other.number, share: 0.5, reason: 'while the server restarts' });
  assert.equal(steered.status, 200, JSON.stringify(steered.body));
  const visitor = await enter(browser, 'approver', '/console/policy');
  const { page } = visitor;
  await card(page, 'Canary', 'judges 50 % of users');
  const restarted = fetch(process.env.SUITE_RESTART, { method: 'POST' });
  await says(page, 'alert', 'Keyward does not answer').catch(async () => { await page.getByRole('alert').first().waitFor(); });
  assert.equal((await restarted).status, 200);
  await page.getByRole('alert').first().waitFor({ state: 'detached' });
  await card(page, 'Canary', 'judges 50 % of users');
  await heading(page, 'Policy'); // and whoever was signed in is
  await (await card(page, 'Canary')).getByRole('button', { name: 'End' }).click();
  await page.getByRole('dialog').getByRole('button', { name: /^End/ }).click();
  await (await card(page, 'What was done', 'A canary was ended')).waitFor();
  await leave(visitor);
});
