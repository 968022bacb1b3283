// What the stories of the console have in common: who signs in, and what is asked of the API beside the console.
import { base, visit } from './browser.mjs';

export const tokens = JSON.parse(process.env.SUITE_TOKENS);
export const user = process.env.SUITE_USER; // one who was not offered a passkey
export const project = process.env.SUITE_PROJECT;

/** A call of the Operator API from outside the console. */
export async function call(role, method, path, body) {
  const response = await fetch(`${base}/operator/v1${path}`, {
    method, headers: { Authorization: `Bearer ${tokens[role]}`, ...(body && { 'Content-Type': 'application/json' }) }, ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text.startsWith('{') && !text.trimEnd().includes('}\n{') ? JSON.parse(text) : text };
}

/** The credentials of the project, as its backend sends them. */
export const secret = () => 'Basic ' + Buffer.from(`${project}:${process.env.SUITE_SECRET}`).toString('base64');

/** A call of the Backend API. */
export async function backend(method, path, body) {
  const response = await fetch(`${base}/v2${path}`, { method, headers: { Authorization: secret(), 'Content-Type': 'application/json' }, ...(body && { body: JSON.stringify(body) }) });
  return { status: response.status, body: await response.json() };
}

/** Signs in; no script can read what the browser keeps for it. */
export async function enter(browser, role, path = '/console', options = {}) {
  const visitor = await visit(browser, { path, ...options });
  await visitor.page.getByLabel('Token of an operator').fill(tokens[role]);
  await visitor.page.getByRole('button', { name: 'Sign in', exact: true }).click();
  return visitor;
}

/** Waits until a card says something, and returns it. */
export async function card(page, title, text) {
  const found = page.locator('section.card', { has: page.getByRole('heading', { level: 2, name: title, exact: typeof title === 'string' }) });
  if (text) await found.filter({ hasText: text }).waitFor();
  return found;
}
