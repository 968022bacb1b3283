// A page whose sign-up and login are Keyward's: CorbadoApp of web-core, set up as its users set it up. The suite calls its services one after another; the page shows what came of it.
import { ConnectService, CorbadoApp } from '@corbado/web-core';

const { project, apiSuffix } = window.settings;
const app = new CorbadoApp({ projectId: project, frontendApiUrlSuffix: apiSuffix });
const services = {
  process: app.authProcessService, session: app.sessionService,
  // With a domain of the customer's own the SDK never builds a name out of the project ID.
  connect: new ConnectService(project, apiSuffix, false, `https://${project}.${apiSuffix}`),
};
const abortable = new Set(['process.init', 'session.getFullUser', 'session.passkeyList', 'connect.loginInit', 'connect.appendInit', 'connect.manageInit']);

function show(title, detail) {
  document.getElementById('root').innerHTML = '<h1></h1><pre></pre>';
  document.querySelector('h1').textContent = title;
  document.querySelector('pre').textContent = JSON.stringify(detail, null, 2) ?? '';
}

const told = (result) => {
  if (!result || result.ok === undefined) return { ok: true, value: result ?? null };
  return result.ok ? { ok: true, value: result.val ?? null } : { ok: false, error: result.val.name, message: result.val.message };
};

/** Calls a service and resolves to what can be told of its answer outside of the page. */
async function call(service, method, args) {
  const of = services[service];
  let outcome;
  try {
    outcome = told(await of[method](...(abortable.has(`${service}.${method}`) ? [new AbortController()] : []), ...args));
  } catch (error) {
    outcome = { ok: false, error: error.name, message: error.message };
  }
  show(`${service}.${method}`, outcome);
  return outcome;
}

/** Logs in with the passkey that the browser suggests in the field, whenever the user picks it. */
let suggested;
const suggest = (challenge) => { suggested = services.process.loginWithPasskeyChallenge(challenge, () => {}).then(told); };
const picked = async () => {
  const outcome = await suggested;
  show('process.loginWithPasskeyChallenge', outcome);
  return outcome;
};

const sessionToken = () => services.session.sessionToken?.toString();
window.page = { call, suggest, picked, show, sessionToken, loggedIn: () => services.session.authStateChanges.value === 1, user: () => services.session.getUser() };
show('Shop', { project, apiSuffix });
