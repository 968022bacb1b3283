// A shop that had a login before passkeys, with connect-react mounted as its users mount it: the login above the password form, the offer of a passkey after a login, and the
// list in the account. Who is logged in by password is in a cookie of the shop's; its backend turns that into connect tokens.
import React, { useState } from 'react';
import { createRoot } from 'react-dom/client';
import { CorbadoConnectAppend, CorbadoConnectLogin, CorbadoConnectPasskeyList, CorbadoConnectProvider } from '@corbado/connect-react';

const query = new URLSearchParams(location.search);
const { apiSuffix } = window.settings;
const project = query.get('project') ?? window.settings.project;
window.heard = []; // what the components told the page

const hear = (event, ...details) => { window.heard.push({ event, details }); };

async function connectToken(type) {
  const answer = await fetch(`/token/${type}`, { method: 'POST' });
  if (!answer.ok) throw new Error(`no token: ${answer.status}`);
  return (await answer.json()).token;
}

function Password({ go, name }) {
  const [who, setWho] = useState(name);
  return <form onSubmit={(e) => { e.preventDefault(); document.cookie = `shopper=${encodeURIComponent(who)}; path=/; secure`; go('append'); }}>
    <h1>Log in with your password</h1>
    <label>Your address <input value={who} onChange={(e) => setWho(e.target.value)} /></label> <button>Log in with password</button>
  </form>;
}

// The shop's backend would verify the session; what it says is shown instead.
const subject = (session) => JSON.parse(atob(session.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')));

function Shop() {
  const [screen, setScreen] = useState(query.get('screen') ?? 'login');
  const [name, setName] = useState('');
  const screens = {
    login: <CorbadoConnectLogin
      onFallback={(identifier, message) => { hear('fallback', identifier, message); setName(identifier); setScreen('password'); }}
      onError={(error) => hear('error', error)} onLoaded={(message) => hear('loaded', message)} onLoginStart={() => hear('start')}
      onComplete={(session) => { const claims = subject(session); document.cookie = `shopper=${encodeURIComponent(claims.email ?? claims.orig ?? '')}; path=/; secure`; hear('logged-in', claims); setScreen('home'); }} />,
    password: <Password go={setScreen} name={name} />,
    append: <CorbadoConnectAppend appendTokenProvider={() => connectToken('passkey-append')}
      onSkip={() => { hear('skipped'); setScreen('home'); }} onComplete={() => { hear('appended'); setScreen('home'); }} onError={(error) => hear('append-error', error)} />,
    list: <CorbadoConnectPasskeyList connectTokenProvider={connectToken} />,
    home: <><h1>Welcome to the shop</h1><button onClick={() => setScreen('list')}>Passkeys</button> <button onClick={() => setScreen('login')}>Log out</button></>,
  };
  // The flag lets the component ask for conditional UI; projects of the vendor have it from their server.
  return <CorbadoConnectProvider projectId={project} frontendApiUrlSuffix={apiSuffix} flags={{ 'conditional-ui-allowed': 'true' }}>{screens[screen]}</CorbadoConnectProvider>;
}

// What the browser is told of passkeys that are no more, by the Signal API.
const signal = PublicKeyCredential?.signalAllAcceptedCredentials?.bind(PublicKeyCredential);
if (signal) PublicKeyCredential.signalAllAcceptedCredentials = (told) => { hear('signal', told); return signal(told); };

createRoot(document.getElementById('root')).render(<Shop />);
