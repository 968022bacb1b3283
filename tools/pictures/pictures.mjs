// Takes the pictures of the documents: fills a data directory with a month of people, serves it, and photographs the console.
//
//   node tools/pictures/pictures.mjs bin/keyward docs/pictures
//
// It needs Chromium and the packages of test/page; `make pictures` fetches both.
import { spawn, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createRequire } from 'node:module';

const [program, out] = process.argv.slice(2).map((path) => resolve(path));
const { chromium } = createRequire(resolve('test/page/package.json'))('playwright-core');
const users = process.env.PICTURE_USERS ?? '3000';

const port = await new Promise((found) => { const server = createServer().listen(0, '127.0.0.1', () => { const { port: free } = server.address(); server.close(() => found(free)); }); });
const data = join(mkdtempSync(join(tmpdir(), 'keyward-pictures-')), 'data');
const base = `http://localhost:${port}`;
const env = { ...process.env, KEYWARD_FRONTEND_URL: base, KEYWARD_BOOTSTRAP_ORIGINS: base };
execFileSync(program, ['demo', '--users', users, '--days', '30', '--data-dir', data], { env, stdio: 'inherit' });
const server = spawn(program, ['serve', '--http-addr', `127.0.0.1:${port}`, '--grpc-addr', 'off', '--admin-addr', '127.0.0.1:0', '--nats-addr', 'off', '--data-dir', data], { env, stdio: 'ignore' });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
try {
  for (let left = 300; ; left--) {
    try { if ((await fetch(`${base}/console`)).ok) break; } catch { if (left === 0) throw new Error('the server does not answer'); }
    await new Promise((again) => setTimeout(again, 200));
  }
  const token = readFileSync(join(data, 'operator-token'), 'utf8').trim();
  const open = async (colorScheme, width, height) => {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion: 'reduce' });
    const page = await context.newPage();
    await page.goto(`${base}/console`);
    await page.getByLabel('Token').fill(token);
    await page.getByRole('button', { name: 'Sign in' }).last().click();
    await page.getByRole('heading', { name: 'Overview', level: 1 }).waitFor();
    return page;
  };
  const take = async (page, name) => {
    await page.waitForLoadState('networkidle').catch(() => undefined); // what is live never rests
    await new Promise((drawn) => setTimeout(drawn, 1500));
    await page.screenshot({ path: join(out, `${name}.png`) });
  };
  const light = await open('light', 1200, 900);
  await light.goto(`${base}/console?unit=day`);
  await take(light, 'overview');
  await light.goto(`${base}/console/decisions`);
  await take(light, 'decisions');
  await light.goto(`${base}/console/policy`);
  await take(light, 'policy');
  await take(await open('dark', 390, 844), 'phone');
} finally {
  await browser.close();
  server.kill();
  rmSync(join(data, '..'), { recursive: true, force: true });
}
