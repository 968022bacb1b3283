// The Frontend API without a browser, for what no browser would send.
import { api, pageOrigin, project } from './settings.mjs';

/** Calls it as a page of the project would, but for what the options say. Cookies are a map of names and values. */
export async function frontend(method, path, { body, token, cookies, process, origin = pageOrigin, as = project } = {}) {
  const headers = { 'x-corbado-projectid': as };
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (token) headers.authorization = `Bearer ${token}`;
  if (cookies) headers.cookie = Object.entries(cookies).map(([name, value]) => `${name}=${value}`).join('; ');
  if (process) headers['x-corbado-process-id'] = process;
  if (origin) headers.origin = origin;
  const answer = await fetch(`${api}/v2${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await answer.text();
  return { status: answer.status, text, said: text ? JSON.parse(text) : null, set: cookiesOf(answer), decision: answer.headers.get('x-keyward-decision-id') };
}

const cookiesOf = (answer) => Object.fromEntries(answer.headers.getSetCookie().map((line) => /^([^=]+)=([^;]*)/.exec(line).slice(1)));

/** What a client says of itself that can do everything. */
export const clientInformation = {
  isUserVerifyingPlatformAuthenticatorAvailable: true, isConditionalMediationAvailable: true, bluetoothAvailable: false, webdriver: false, privateMode: false,
};
