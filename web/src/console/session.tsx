// Who is signed in, and the form to do so.
import { createContext } from 'preact';
import { useContext, useEffect, useRef, useState } from 'preact/hooks';
import { supported } from '../trying/webauthn';
import { answer, client, enter, enterWithPasskey, onLost, Problem, type Schemas } from './api';
import { asProblem, useLoad } from './load';
import { Button, Failed, Text, Title } from './ui';

export type Me = Schemas['Operator'];

const ranks: Schemas['OperatorRole'][] = ['viewer', 'author', 'approver', 'admin'];

export const Who = createContext<{ me: Me; out: () => void } | undefined>(undefined);

export function useWho(): { me: Me; out: () => void; may: (role: Schemas['OperatorRole']) => boolean } {
  const who = useContext(Who)!;
  return { ...who, may: (role) => ranks.indexOf(who.me.role) >= ranks.indexOf(role) };
}

/** The operator of this browser: undefined while that is being found out, null if nobody is signed in. */
export function useSession(): { me: Me | null | undefined; why: string; problem: Problem | undefined; enter: (token: string) => Promise<void>; enterWithPasskey: () => Promise<void>; out: () => void; again: () => void } {
  const [me, set] = useState<Me | null | undefined>(undefined);
  const [why, because] = useState(() => signInError());
  const [problem, fail] = useState<Problem | undefined>();
  const known = useRef(false); // somebody was signed in, so that to be so no more takes a word
  const settle = (found: Me) => { known.current = true; because(''); set(found); };
  const find = async () => {
    fail(undefined);
    try {
      settle(await answer(client.GET('/me')));
    } catch (failed) {
      if (failed instanceof Problem && failed.status === 401) return;
      fail(asProblem(failed));
    }
  };
  useEffect(() => {
    onLost((words) => {
      if (known.current) because(words);
      known.current = false;
      set(null);
    });
    void find();
  }, []);
  return {
    me, why, problem, again: () => void find(),
    enter: async (given) => settle(await enter(given)),
    enterWithPasskey: async () => settle(await enterWithPasskey()),
    out: () => {
      known.current = false;
      void answer(client.DELETE('/session')).catch(() => undefined).finally(() => set(null));
    },
  };
}

/** Why the identity provider's word was not enough, once. */
function signInError(): string {
  const url = new URL(location.href);
  const said = url.searchParams.get('signInError') ?? '';
  if (said) {
    url.searchParams.delete('signInError');
    history.replaceState(null, '', url);
  }
  return said;
}

export function SignIn({ enter: go, enterWithPasskey: touch, why }: { enter: (token: string) => Promise<void>; enterWithPasskey: () => Promise<void>; why: string }) {
  const [given, give] = useState('');
  const [busy, work] = useState(false);
  const [problem, fail] = useState<Problem | undefined>();
  const attempt = (how: Promise<void>) => {
    work(true);
    fail(undefined);
    how.catch((failed: unknown) => fail(asProblem(failed))).finally(() => work(false));
  };
  const ways = useLoad((signal) => answer(client.GET('/session/ways', { signal })), []);
  return (
    <main class="alone">
      <form class="card stack" onSubmit={(event) => {
        event.preventDefault();
        if (!busy && given.trim()) attempt(go(given.trim()));
      }}>
        <Title quiet>Keyward console</Title>
        <p class="lead">See what is decided and why, try a change of the policy on what has happened, and let it go live.</p>
        {why && !problem && <p class="note" role="status">You are signed out: {why}</p>}
        {problem && <Failed problem={problem} />}
        {ways.data?.oidc && <a class="action main" href="/operator/v1/session/oidc">Sign in with your company’s account</a>}
        {ways.data?.passkey && supported && <Button kind={ways.data.oidc ? 'plain' : 'main'} busy={busy} onClick={() => attempt(touch())}>Use a passkey</Button>}
        <Text label="Token of an operator" type="password" value={given} onInput={give} required hint={<>One is made with <code>keyward operator create --role viewer --name ada</code>. It is not kept: this browser gets a session.</>} />
        <Button submit kind={ways.data?.oidc || ways.data?.passkey ? 'plain' : 'main'} busy={busy}>Sign in</Button>
      </form>
    </main>
  );
}
