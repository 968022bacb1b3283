// How screens get what they show: loaded, kept while it is loaded anew, and with what went wrong beside it.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { Problem } from './api';

export interface Loaded<T> {
  data: T | undefined;
  problem: Problem | undefined; // of the latest attempt; data, if there is any, is older
  loading: boolean;
  reload: () => void;
}

/** Loads when what it depends on changes, and again after so many ms while the page is looked at. An answer that is overtaken is dropped. */
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, depends: unknown[], every = 0): Loaded<T> {
  const [state, set] = useState<{ data: T | undefined; problem: Problem | undefined; loading: boolean; of: string }>({ data: undefined, problem: undefined, loading: true, of: '' });
  const [turn, next] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  const of = JSON.stringify(depends);
  useEffect(() => {
    const control = new AbortController();
    set((s) => ({ ...(s.of === of ? s : { data: undefined, problem: undefined }), loading: true, of }));
    latest.current(control.signal).then(
      (data) => { if (!control.signal.aborted) set({ data, problem: undefined, loading: false, of }); },
      (failed: unknown) => { if (!control.signal.aborted) set((s) => ({ ...s, problem: asProblem(failed), loading: false })); },
    );
    return () => control.abort();
  }, [of, turn]);
  useEffect(() => {
    if (!every) return undefined;
    const timer = setInterval(() => { if (!document.hidden) next((n) => n + 1); }, every);
    return () => clearInterval(timer);
  }, [every]);
  return { data: state.data, problem: state.problem, loading: state.loading, reload: useCallback(() => next((n) => n + 1), []) };
}

export function asProblem(failed: unknown): Problem {
  return failed instanceof Problem ? failed : new Problem(0, (failed as Error)?.message || String(failed));
}

/** An act of the operator: one at a time, with what came of it. */
export function useAct(): { busy: boolean; problem: Problem | undefined; done: string; act: (what: () => Promise<string | void>) => Promise<boolean>; clear: () => void } {
  const [state, set] = useState<{ busy: boolean; problem: Problem | undefined; done: string }>({ busy: false, problem: undefined, done: '' });
  const busy = useRef(false);
  const act = useCallback(async (what: () => Promise<string | void>) => {
    if (busy.current) return false;
    busy.current = true;
    set({ busy: true, problem: undefined, done: '' });
    try {
      set({ busy: false, problem: undefined, done: (await what()) ?? '' });
      return true;
    } catch (failed) {
      set({ busy: false, problem: asProblem(failed), done: '' });
      return false;
    } finally {
      busy.current = false;
    }
  }, []);
  return { ...state, act, clear: useCallback(() => set({ busy: false, problem: undefined, done: '' }), []) };
}
