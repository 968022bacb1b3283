// Who is signed in, and the form to do so.
import { createContext } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';
import { answer, client, onLost, Problem, token, type Schemas } from './api';
import { asProblem } from './load';
import { Button, Failed, Text, Title } from './ui';

export type Me = Schemas['Operator'];

const ranks: Schemas['OperatorRole'][] = ['viewer', 'author', 'approver', 'admin'];

export const Who = createContext<{ me: Me; out: () => void } | undefined>(undefined);

export function useWho(): { me: Me; out: () => void; may: (role: Schemas['OperatorRole']) => boolean } {
  const who = useContext(Who)!;
  return { ...who, may: (role) => ranks.indexOf(who.me.role) >= ranks.indexOf(role) };
}

/** The operator of this tab: undefined while that is being found out, null if nobody is signed in. */
export function useSession(): { me: Me | null | undefined; why: string; problem: Problem | undefined; enter: (token: string) => Promise<void>; out: () => void; again: () => void } {
  const [me, set] = useState<Me | null | undefined>(token.get() ? undefined : null);
  const [why, because] = useState('');
  const [problem, fail] = useState<Problem | undefined>();
  const find = async () => {
    fail(undefined);
    try {
      set(await answer(client.GET('/me')));
      because('');
    } catch (failed) {
      if (failed instanceof Problem && failed.status === 401) return;
      fail(asProblem(failed));
    }
  };
  useEffect(() => {
    onLost((words) => { set(null); because(words); });
    if (token.get()) void find();
  }, []);
  return {
    me, why, problem, again: () => void find(),
    enter: async (given) => {
      token.set(given);
      set(await answer(client.GET('/me')));
      because('');
    },
    out: () => { token.set(''); because(''); set(null); },
  };
}

export function SignIn({ enter, why }: { enter: (token: string) => Promise<void>; why: string }) {
  const [given, give] = useState('');
  const [busy, work] = useState(false);
  const [problem, fail] = useState<Problem | undefined>();
  return (
    <main class="alone">
      <form class="card stack" onSubmit={(event) => {
        event.preventDefault();
        if (busy || !given.trim()) return;
        work(true);
        fail(undefined);
        enter(given.trim()).catch((failed: unknown) => { token.set(''); fail(asProblem(failed)); }).finally(() => work(false));
      }}>
        <Title quiet>Keyward console</Title>
        <p class="lead">See what is decided and why, try a change of the policy on what has happened, and let it go live.</p>
        {why && !problem && <p class="note" role="status">You are signed out: {why}</p>}
        {problem && <Failed problem={problem} />}
        <Text label="Token of an operator" type="password" value={given} onInput={give} required hint={<>One is made with <code>keyward operator create --role viewer NAME</code>. This tab keeps it until it is closed.</>} />
        <Button submit kind="main" busy={busy}>Sign in</Button>
      </form>
    </main>
  );
}
