// What the suite knows of the Keyward that runs for it. go test ./test sets it.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';

function need(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; go test ./test sets it`);
  return value;
}

export const api = need('SUITE_API'); // by address, as backends reach it
export const apiSuffix = need('SUITE_API_SUFFIX'); // the Frontend API is at https://<project>.<this>
export const pageOrigin = need('SUITE_PAGE'); // of the customer's pages
export const project = need('SUITE_PROJECT');
export const secret = need('SUITE_SECRET');
export const chromiumPath = need('SUITE_CHROMIUM');
export const tls = { cert: readFileSync(need('SUITE_TLS_CERT')), key: readFileSync(need('SUITE_TLS_KEY')) };
const outbox = need('SUITE_OUTBOX');
const binary = need('SUITE_BINARY');
const dataDir = need('SUITE_DATA_DIR');

export const rpID = 'shop.example';
export const frontendAPI = (of = project) => `https://${of}.${apiSuffix}`;

/** Runs a command of the operator and resolves to what it prints. */
export const keyward = (...args) => new Promise((resolve, reject) => {
  execFile(binary, [...args, '--data-dir', dataDir], { timeout: 120_000 }, (error, stdout, stderr) => {
    if (error) reject(new Error(`keyward ${args.join(' ')}: ${error.message}\n${stdout}${stderr}`));
    else resolve(stdout);
  }).stdin.end();
});

const read = new Set();

/** Reads the newest code that was sent to an address and has not been read yet, where a developer reads it. */
export async function codeFor(address) {
  for (let tries = 0; tries < 100; tries++) {
    const line = readFileSync(outbox, 'utf8').split('\n').filter((sent) => sent.includes('[development outbox]') && sent.includes(`"${address}"`)).at(-1);
    const code = /: code (\d{6})\b/.exec(line ?? '')?.[1];
    if (code && !read.has(line)) {
      read.add(line);
      return code;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`no code was sent to ${address}`);
}
