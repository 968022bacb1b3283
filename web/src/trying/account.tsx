// The screen of who is signed in.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Action, Heading, When } from './parts';
import type { State, Trial, Wanted } from './trial';
import type { Me, Passkey } from './types';
import { supported } from './webauthn';

export function Account({ trial, state, me, quiet }: { trial: Trial; state: State; me: Me; quiet: boolean }) {
  const name = me.fullName || me.identifiers[0]?.value || 'you';
  const count = state.passkeys.length;
  const reachable = me.identifiers.some((i) => i.type !== 'username');
  const list = useRef<HTMLHeadingElement>(null);
  const before = useRef(count);
  useLayoutEffect(() => {
    if (count < before.current) list.current?.focus(); // what had the focus is gone
    before.current = count;
  }, [count]);
  return (
    <div class="stack">
      <Heading quiet={quiet}>Signed in as {name}</Heading>
      <ul class="identifiers" aria-label="Known by">
        {me.identifiers.map((i) => <li key={i.id}>{i.value} <span class="tag">{i.status}</span></li>)}
      </ul>

      <h2 ref={list} tabIndex={-1}>Passkeys <span class="count">{count}</span></h2>
      {count === 0 && <p class="hint">There is none yet. {reachable ? 'Until there is, a code signs you in.' : 'Without one you cannot come back: a user name receives no codes.'}</p>}
      <ul class="passkeys">
        {state.passkeys.map((p) => <Item key={p.id} trial={trial} state={state} passkey={p} />)}
      </ul>
      <div class="row">
        <Action kind="main" busy={state.busy === 'add'} locked={!!state.busy || !supported} onClick={() => void trial.addPasskey()}>Add a passkey</Action>
        <Action busy={state.busy === 'logout'} locked={!!state.busy} onClick={() => void trial.signOut()}>Sign out</Action>
      </div>

      <p class="session">
        The session token lasts until <When ms={state.sessionEnds} />.{' '}
        <button type="button" class="link" aria-disabled={!!state.busy} onClick={() => void trial.renewNow()}>Renew it now</button>
      </p>
    </div>
  );
}

function Item({ trial, state, passkey }: { trial: Trial; state: State; passkey: Passkey }) {
  const [asked, ask] = useState<boolean | undefined>(undefined); // undefined: nobody has asked yet
  const { name, iconLight, iconDark } = passkey.aaguidDetails;
  const title = name || 'Passkey';
  const from = [passkey.sourceBrowser, passkey.sourceOS].filter(Boolean).join(' on ');
  return (
    <li>
      <Icon light={iconLight} dark={iconDark} />
      <div class="about">
        <strong>{title}</strong>
        <span class="hint">{from && from + ' · '}created <When ms={passkey.createdMs} />{passkey.backupState ? ' · synced' : ''}</span>
      </div>
      {asked
        ? (
          <div class="row tight">
            <Action kind="danger" label={'Delete ' + title + ' for good'} busy={state.busy === 'delete'} locked={!!state.busy} onClick={() => void trial.deletePasskey(passkey)}>Delete</Action>
            <Action focused label={'Keep ' + title} busy={false} locked={!!state.busy} onClick={() => ask(false)}>Keep</Action>
          </div>
        )
        : <Action key="ask" focused={asked === false} label={'Delete ' + title} busy={false} locked={!!state.busy} onClick={() => ask(true)}>Delete</Action>}
    </li>
  );
}

/** What is shown where the sign-in is too old for what was asked: the account's owner may not be who sits here now. */
export function SignInAgain({ trial, state, wanted }: { trial: Trial; state: State; wanted: Wanted }) {
  const title = wanted.passkey && (wanted.passkey.aaguidDetails.name || 'the passkey');
  return (
    <div class="stack">
      <Heading>Sign in again first</Heading>
      <p class="lead">
        {title ? 'Deleting a passkey' : 'Adding a passkey'} takes a recent sign-in, and yours was a while ago: somebody else could have found this window open.
      </p>
      <p class="hint">Once you have signed in, {title ? <><strong>{title}</strong> is deleted</> : 'your passkey is created'} without being asked for again.</p>
      <div class="row">
        <Action kind="main" busy={state.busy === 'again'} locked={!!state.busy} onClick={() => void trial.signInAgain()}>Sign in again</Action>
        <Action busy={false} locked={!!state.busy} onClick={() => trial.leaveIt()}>Not now</Action>
      </div>
    </div>
  );
}

/** The icon of who keeps the passkey, if the server has one; no other host is asked for it. */
function Icon({ light, dark }: { light: string; dark: string }) {
  if (!light.startsWith('data:image/')) return <span class="icon" aria-hidden="true" />;
  return (
    <picture class="icon">
      {dark.startsWith('data:image/') && <source srcset={dark} media="(prefers-color-scheme: dark)" />}
      <img src={light} alt="" width="24" height="24" />
    </picture>
  );
}
