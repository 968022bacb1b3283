import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { LocationProvider, Route, Router, useLocation } from 'preact-iso';
import { DecisionPage } from './pages/decision';
import { Decisions } from './pages/decisions';
import { Events } from './pages/events';
import { Lists } from './pages/lists';
import { Overview } from './pages/overview';
import { Policy } from './pages/policy';
import { Revision } from './pages/revision';
import { Editor } from './pages/edit';
import { Operators } from './pages/operators';
import { Project, Projects } from './pages/projects';
import { User } from './pages/user';
import { Users } from './pages/users';
import { SignIn, useSession, useWho, Who } from './session';
import { Failed, Title } from './ui';

const places: [string, string][] = [
  ['/console', 'Overview'],
  ['/console/decisions', 'Decisions'],
  ['/console/users', 'Users'],
  ['/console/events', 'Events'],
  ['/console/policy', 'Policy'],
  ['/console/lists', 'Lists and switches'],
  ['/console/projects', 'Projects and webhooks'],
  ['/console/operators', 'Operators and audit'],
];

function App() {
  const session = useSession();
  if (session.me === null) return <><Top /><SignIn enter={session.enter} enterWithPasskey={session.enterWithPasskey} why={session.why} /></>;
  if (!session.me) {
    return (
      <>
        <Top />
        <main class="alone">{session.problem ? <Failed problem={session.problem} again={session.again} /> : <p class="loading" role="status">Loading …</p>}</main>
      </>
    );
  }
  return (
    <Who.Provider value={{ me: session.me, out: session.out }}>
      <a class="skip" href="#content" onClick={(event) => { event.preventDefault(); document.getElementById('content')?.focus(); }}>Skip to the content</a>
      <Top><Operator /></Top>
      <div class="frame">
        <Places />
        <main id="content" tabIndex={-1}>
          <Router>
            <Route path="/console" component={Overview} />
            <Route path="/console/decisions" component={Decisions} />
            <Route path="/console/decisions/:id" component={DecisionPage} />
            <Route path="/console/policy" component={Policy} />
            <Route path="/console/policy/:number" component={Revision} />
            <Route path="/console/policy/:number/edit" component={Editor} />
            <Route path="/console/users" component={Users} />
            <Route path="/console/users/:project/:user" component={User} />
            <Route path="/console/projects" component={Projects} />
            <Route path="/console/projects/:project" component={Project} />
            <Route path="/console/operators" component={Operators} />
            <Route path="/console/events" component={Events} />
            <Route path="/console/lists" component={Lists} />
            <Route default component={Nowhere} />
          </Router>
        </main>
      </div>
    </Who.Provider>
  );
}

function Top({ children }: { children?: preact.ComponentChildren }) {
  return (
    <header class="top">
      <a class="brand" href="/console"><img src="/console/icon.svg" alt="" width="28" height="28" />Keyward<span class="muted">console</span></a>
      {children}
    </header>
  );
}

function Operator() {
  const { me, out } = useWho();
  return (
    <div class="operator">
      <span><strong>{me.name}</strong> <span class="muted">{me.role}</span></span>
      <button type="button" class="quiet" onClick={out}>Sign out</button>
    </div>
  );
}

function Places() {
  const { path } = useLocation();
  const [open, show] = useState(false);
  useEffect(() => show(false), [path]);
  const here = (to: string) => (to === '/console' ? path === to || path === '/console/' : path === to || path.startsWith(to + '/'));
  return (
    <nav class={open ? 'places open' : 'places'} aria-label="Console">
      <button type="button" class="quiet menu" aria-expanded={open} onClick={() => show(!open)}>{places.find(([to]) => here(to))?.[1] ?? 'Menu'} <span aria-hidden="true">▾</span></button>
      <ul>{places.map(([to, name]) => <li key={to}><a href={to} aria-current={here(to) ? 'page' : undefined}>{name}</a></li>)}</ul>
    </nav>
  );
}

function Nowhere() {
  return (
    <>
      <Title>There is no such page</Title>
      <p><a href="/console">Go to the overview</a></p>
    </>
  );
}

render(<LocationProvider scope="/console"><App /></LocationProvider>, document.getElementById('app')!);
