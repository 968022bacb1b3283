// The customer's backend: it calls the Backend API with the API secret.
import { api, project, secret } from './settings.mjs';

const basic = (user, password) => 'Basic ' + Buffer.from(`${user}:${password}`).toString('base64');

export async function backend(method, path, body, { as = project, key = secret } = {}) {
  const answer = await fetch(api + path, { method, headers: { authorization: basic(as, key), 'content-type': 'application/json' }, body: body && JSON.stringify(body) });
  const said = await answer.json();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(said)}`);
  return said;
}

export const events = async (userID) => (await backend('GET', `/v2/users/${userID}/passkeyEvents?include=engine&pageSize=50&sort=created:asc`)).passkeyEvents;

export const eventTypes = async (userID) => (await events(userID)).map((e) => e.eventType);

/** What happened last, as a security team reads it: the tag and the history that a decision of the Backend API tells. */
export const explain = (userID, clientInformation, processID = `asked-${Date.now()}`) => backend('POST', '/v2/passkey/login/start', {
  userID, processID, crossDeviceAuthenticationStrategy: 'standard', clientInformation,
});

const data = { 'passkey-append': (identifier) => ({ identifier, displayName: identifier }) };

/** A connect token, by which the backend vouches for a user towards Keyward. */
export const connectToken = async (type, identifier) => (await backend('POST', '/v2/connectTokens', { type, data: (data[type] ?? ((id) => ({ identifier: id })))(identifier) })).secret;

/** The ID of the user who has an identifier. */
export async function userOf(identifier) {
  const { identifiers } = await backend('GET', `/v2/identifiers?filter[]=identifierValue:eq:${encodeURIComponent(identifier)}`);
  return identifiers[0]?.userID;
}
