import { render } from 'preact';
import { useEffect, useReducer } from 'preact/hooks';
import { Account, SignInAgain } from './account';
import { Panel } from './panel';
import { Action, Heading } from './parts';
import { Block, OpenLink } from './screens';
import { Trial, type State } from './trial';
import { supported } from './webauthn';

const trial = new Trial();

function App() {
  const [, rerender] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    trial.onChange(() => rerender(undefined));
    void trial.start();
  }, []);
  const { state, watch } = trial;
  return (
    <>
      <header class="top">
        <a class="brand" href="/"><img src="/app/icon.svg" alt="" width="28" height="28" />Keyward</a>
        <nav aria-label="Reference"><a href="/docs">API</a></nav>
      </header>
      <main>
        <section class="stage" aria-label="Your account">
          <Warnings />
          <div class="card"><Stage state={state} /></div>
          <Said state={state} />
        </section>
        <Panel watch={watch} />
      </main>
    </>
  );
}

/** Who has not done anything yet keeps the focus where it is. */
let first = true;

function Stage({ state }: { state: State }) {
  const { screen } = state;
  const quiet = first;
  if (screen.name !== 'loading') first = false;
  switch (screen.name) {
    case 'loading':
      return <p class="loading">Loading …</p>;
    case 'offline':
      return (
        <div class="stack" key="offline">
          <Heading>Keyward does not answer</Heading>
          <p class="lead">Is it still running? Nothing you did is lost.</p>
          <Action kind="main" busy={state.busy === 'start'} locked={!!state.busy} onClick={() => void trial.start()}>Try again</Action>
        </div>
      );
    case 'refused':
      return (
        <div class="stack" key="refused">
          <Heading>The page cannot begin</Heading>
          <p class="lead">Keyward runs, and refused its first call. What it said is below.</p>
          <Action kind="main" busy={state.busy === 'start'} locked={!!state.busy} onClick={() => void trial.start()}>Try again</Action>
        </div>
      );
    case 'block':
      return <Block key={screen.body.block} trial={trial} state={state} body={screen.body} failed={screen.failed} quiet={quiet} />;
    case 'link':
      return <OpenLink key={'link' + screen.opened} trial={trial} state={state} link={screen.link} opened={screen.opened} quiet={quiet} />;
    case 'account':
      return <Account key="account" trial={trial} state={state} me={screen.me} quiet={quiet} />;
    case 'again':
      return <SignInAgain key="again" trial={trial} state={state} wanted={screen.wanted} />;
  }
}

/** What was said last. The regions are always there, so that screen readers notice what appears in them. */
function Said({ state }: { state: State }) {
  const notice = state.notice;
  return (
    <div class="said">
      <p role="status" class={notice?.kind === 'status' ? 'notice' : ''}>{notice?.kind === 'status' ? notice.text : ''}</p>
      <p role="alert" class={notice?.kind === 'error' ? 'notice error' : ''}>
        {notice?.kind === 'error' && <>{notice.text}{notice.requestID && <span class="small"> Request <code>{notice.requestID}</code></span>}</>}
      </p>
    </div>
  );
}

/** What keeps passkeys from working here, whatever the user does. */
function Warnings() {
  const address = /^(\d+\.\d+\.\d+\.\d+|\[.*\])$/.test(location.hostname);
  if (address) {
    const named = `${location.protocol}//localhost${location.port && ':' + location.port}/`;
    return <p class="warning">Browsers tie passkeys to a name, and this page was opened by an address. <a href={named}>Open {named}</a></p>;
  }
  if (!window.isSecureContext) return <p class="warning">Passkeys need HTTPS, or the name localhost.</p>;
  if (!supported) return <p class="warning">This browser has no passkeys. You can still sign in with a code sent to your email address.</p>;
  return null;
}

render(<App />, document.getElementById('app')!);
